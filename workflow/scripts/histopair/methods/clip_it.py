"""CLIP-IT: a paired report's text, distilled into the vision backbone (arXiv 2504.16181).

Text stage: the retriever's text tower (LoRA) and a head learn the class from the paired texts,
Eq. 2. Main stage: the backbone (LoRA) learns the class and, through g, the text's embedding,
Eqs. 3 and 4; vision logits and text-branch logits are fused by a linear layer. At inference the
text branch reads g(v): no text, no text tower.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from histopair import embed, heads, lora, losses, pairing

NEEDS = ("images", "pairs", "reports")
PARAMETERS = {
    "pairing": "retrieved",
    "retriever": "",
    "corpus": "",
    "rank": 1,
    "distillation_weight": 1.0,
    "lora": {"rank": 16, "alpha": 8.0, "targets": "all"},
    "text_lora": {"rank": 16, "alpha": 8.0, "targets": "all"},
    "text_epochs": 5,
}


class TextClassifier(nn.Module):
    """Tokens (n, length) -> unit text embeddings (n, d) and logits (n, C)."""

    def __init__(self, tower: nn.Module, width: int, classes: int):
        super().__init__()
        self.tower, self.head = tower, heads.text_head(width, classes)

    def embed(self, tokens: Tensor) -> Tensor:
        return normalize(self.tower(tokens), dim=1)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.embed(tokens))


class Distilled(nn.Module):
    """Pixels -> fused logits (n, C) and the predicted text embedding g(v) (n, d_text)."""

    def __init__(
        self, backbone: nn.Module, width: int, text_head: nn.Module, text_width: int, classes: int
    ):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(width, classes)
        self.to_text = nn.Linear(width, text_width)
        self.text_head = text_head
        self.fusion = fusion(classes)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        features = self.backbone(pixels)
        predicted = self.to_text(features)
        text_logits = self.text_head(normalize(predicted, dim=1))
        return self.fusion(torch.cat([self.head(features), text_logits], dim=1)), predicted

    def train(self, mode: bool = True):
        super().train(mode)
        self.backbone.eval()
        return self


def fusion(classes: int) -> nn.Linear:
    """Linear(2C, C) over both branches' logits, at first their mean.

    From a random start it would have to find out anew what the text head learnt in its own stage.
    """
    layer = nn.Linear(2 * classes, classes)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(classes).repeat(1, 2) / 2)
        layer.bias.zero_()
    return layer


def build(run):
    texts, index = pairing.texts_of(
        run.samples["image_id"],
        run.method["pairing"],
        run.method["rank"],
        run.seed,
        run.artifacts["reports"],
        run.artifacts.get("pairs"),
    )
    index = torch.from_numpy(index)
    retriever = run.retriever()
    tokens, lengths = embed.tokenize_all(retriever.tokenize, retriever.pad_id, texts)
    lengths = torch.from_numpy(lengths)

    text = _text_classifier(run, retriever)
    yield _text_stage(run, text, tokens, lengths, index)

    targets = _embed_all(text, tokens, lengths, run.device)
    yield _main_stage(run, text.head, targets, index)


def _text_classifier(run, retriever) -> TextClassifier:
    tower = lora.adapt(retriever.text, run.method["text_lora"])
    return TextClassifier(tower, retriever.text_dim, len(run.classes))


def _text_stage(run, text, tokens, lengths, index):
    """Images share texts: each distinct text of a batch passes the tower once."""

    def fetch(rows):
        used, inverse = index[rows].unique(return_inverse=True)
        batch = tokens[used, : lengths[used].max()]
        return {"tokens": batch.to(run.device), "inverse": inverse.to(run.device)}

    def loss(model, batch):
        value = run.task_loss(model(batch["tokens"])[batch["inverse"]], batch)
        return {"loss": value, "task": value}

    return run.stage("text", text, fetch, loss, epochs=run.method["text_epochs"])


@torch.inference_mode()
def _embed_all(text, tokens, lengths, device, size: int = 256) -> Tensor:
    """Unit embeddings (texts, d) of the text stage's best epoch: the detached targets."""
    text.eval()
    parts = torch.arange(len(tokens)).split(size)
    embedded = [text.embed(tokens[part, : lengths[part].max()].to(device)) for part in parts]
    return torch.cat(embedded).clone()


def _main_stage(run, text_head, targets, index):
    encoder = run.encoder()
    model = Distilled(
        lora.adapt(encoder.image, run.method["lora"]),
        encoder.image_dim,
        text_head,
        targets.shape[1],
        len(run.classes),
    )
    pixels = run.pixels(encoder.preprocess)
    weight = run.method["distillation_weight"]

    def fetch(rows):
        return {"pixels": pixels(rows), "text": targets[index[rows].to(run.device)]}

    def loss(model, batch):
        logits, predicted = model(batch["pixels"])
        task = run.task_loss(logits, batch)
        distillation = losses.distillation(batch["text"], predicted)
        return {"loss": task + weight * distillation, "task": task, "distillation": distillation}

    def scores(model, batch):
        return run.probabilities(model(batch["pixels"])[0])

    return run.stage("main", model, fetch, loss, scores)
