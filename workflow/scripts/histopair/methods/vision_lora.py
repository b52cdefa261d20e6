"""LoRA on the vision backbone and a linear head, without text: the fair control of CLIP-IT."""

from torch import Tensor, nn

from histopair import lora

NEEDS = ("images",)
PARAMETERS = {"lora": {"rank": 16, "alpha": 8.0, "targets": "all"}}


class AdaptedClassifier(nn.Module):
    """Pixels (n, 3, h, w) -> logits (n, C)."""

    def __init__(self, backbone: nn.Module, width: int, classes: int):
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(width, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.backbone(pixels))

    def train(self, mode: bool = True):
        """The backbone stays in evaluation mode: its batch statistics are frozen like it."""
        super().train(mode)
        self.backbone.eval()
        return self


def build(run):
    encoder = run.encoder()
    backbone = lora.adapt(encoder.image, run.method["lora"])
    model = AdaptedClassifier(backbone, encoder.image_dim, len(run.classes))
    pixels = run.pixels(encoder.preprocess)

    def loss(model, batch):
        value = run.task_loss(model(batch["pixels"]), batch)
        return {"loss": value, "task": value}

    yield run.stage(
        "main",
        model,
        fetch=lambda rows: {"pixels": pixels(rows)},
        loss=loss,
        scores=lambda model, batch: run.probabilities(model(batch["pixels"])),
    )
