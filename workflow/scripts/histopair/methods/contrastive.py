"""A CLIP fine-tuned contrastively on images and prompts of their classes (CLIP-IT, Table 2).

Each training image is paired with its class in one template, drawn anew each step. As published,
every other prompt of the batch is a negative, even of the same class (`positives: own`); corrected,
prompts of the image's class are positives (`positives: class`). At inference the classes' prompts
are an ensemble, encoded once: one vector per class is left of the text tower.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from histopair.encoders import embed, prompts
from histopair.files import tables
from histopair.methods import zero_shot
from histopair.training import adapted_images, contrastive_loss, lora

NEEDS = ("adapted_images", "prompt_embeddings")
PARAMETERS = {
    "positives": "class",
    "aggregation": "similarity",
    "lora": {"rank": 16, "alpha": 8.0, "targets": "all", "blocks": "all"},
    "text_lora": {"rank": 16, "alpha": 8.0, "targets": "all", "blocks": "all"},
}
CHOICES = {"positives": ("class", "own"), "aggregation": ("similarity", "embedding")}
DESCRIPTIONS = {
    "positives": "Prompts that belong to an image: all of its class, or, as published, its own "
    "alone, so that the same words are its negatives.",
}
PROMPTS_IN_EACH_PASS = True  # in its published code

LARGEST_SCALE = 100.0  # CLIP's own bound of its learnt temperature


class PromptedClip(nn.Module):
    """Both towers and the scale of their similarities, which trains from its pretrained value.

    prompts (C, templates, length) are tokens, or of a frozen tower its vectors (C, templates, d).
    Evaluation computes the classes' vectors once, and again only after more training.
    """

    def __init__(
        self, image: nn.Module, text: nn.Module, prompts: Tensor, aggregation: str, scale: float
    ):
        super().__init__()
        self.image, self.text, self.aggregation = image, text, aggregation
        self.log_scale = nn.Parameter(torch.tensor(scale).log())
        self.register_buffer("prompts", prompts, persistent=False)
        self.vectors: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Scaled similarities (n, C) of images to the classes' ensembles of prompts."""
        if self.vectors is None:
            self.vectors = self.class_vectors()
        return contrastive_loss.similarities(unit(self.image(images)), self.vectors, self.scale())

    def class_vectors(self) -> Tensor:
        """(C, d), from all templates."""
        classes, templates, length = self.prompts.shape
        flat = unit(self.text(self.prompts.reshape(-1, length)))
        return zero_shot.ensemble(flat.reshape(classes, templates, -1), self.aggregation)

    def loss(self, images: Tensor, targets: Tensor, positives: str) -> Tensor:
        """The contrastive loss of a batch, each image with a template drawn for it."""
        drawn = torch.randint(self.prompts.shape[1], targets.shape).to(targets.device)
        image = unit(self.image(images))
        text = unit(self.text(self.prompts[targets, drawn]))
        own = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
        same = targets[:, None] == targets if positives == "class" else own
        return contrastive_loss.loss(image, text, same, self.scale())

    def scale(self) -> Tensor:
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def train(self, mode: bool = True):
        super().train(mode)
        self.image.eval()
        self.vectors = None
        return self


def unit(vectors: Tensor) -> Tensor:
    """Vectors (n, d) at length 1, in float32 whatever the towers compute in."""
    return normalize(vectors.float(), dim=1)


def build(run):
    run.require_exclusive()
    clip = run.encoder()
    image, _, images = adapted_images.tower(run, clip)
    model = prompted(run, clip, image)

    def loss(model, batch):
        if model.training:
            value = model.loss(batch["images"], batch["targets"], run.method["positives"])
        else:
            value = run.task_loss(model(batch["images"]), batch)
        return {"loss": value, "task": value}

    def scores(model, batch):
        return run.scores(model(batch["images"]))

    yield run.stage("main", model, lambda rows: {"images": images(rows)}, loss, scores, whole=True)


def prompted(run, clip, image: nn.Module) -> PromptedClip:
    """The model before training, with an image tower that has its adapters."""
    text, read = lora.adapt(clip.text, run.method["text_lora"]), _tokens(run, clip)
    if run.method["text_lora"] is None:
        text, read = nn.Identity(), _vectors(text, read.to(run.device))
    return PromptedClip(image, text, read, run.method["aggregation"], clip.scale)


@torch.no_grad()
def _vectors(text: nn.Module, tokens: Tensor) -> Tensor:
    """What a frozen tower gives for prompts (C, templates, length), (C, templates, d)."""
    return torch.stack([text(of_class) for of_class in tokens])


def _tokens(run, clip) -> Tensor:
    """Tokens (C, templates, length) of each class in each of the encoder's templates."""
    path = run.artifacts["prompt_embeddings"]
    templates = list(tables.read(path, ["template"])["template"].unique())
    table = prompts.of_classes(run.artifacts["labels"], templates)
    tokens, lengths = embed.tokenize_all(clip.tokenize, clip.pad_id, list(table["prompt"]))
    return tokens[:, : lengths.max()].reshape(len(run.classes), len(templates), -1)


@torch.no_grad()
def predictor(run, weights):
    """The classes' prompts are encoded once: their vectors are the last layer's weights."""
    from histopair.export.layers import UnitLength
    from histopair.export.predictor import Predictor, loaded

    clip = run.encoder()
    image = lora.adapt(clip.image, run.method["lora"])
    model = loaded(prompted(run, clip, image), weights).eval()
    layer = nn.Linear(clip.image_dim, len(run.classes))
    layer.weight.copy_(model.scale() * model.class_vectors())
    layer.bias.zero_()
    lora.merge(clip.image)
    return Predictor(nn.Sequential(UnitLength(), layer), image=clip)
