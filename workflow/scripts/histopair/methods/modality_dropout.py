"""A fusion of image and report that learns to do without the report (ModDrop, Neverova 2015).

An MLP reads [v, t]: the backbone's features and the retriever's embedding of the report, both
standardised. In training t is dropped with a probability, each time for each sample anew, and its
mean stands in its place. Validation, the choice of the epoch, and inference have the image alone.

Of the paper it is the dropping of whole channels; its pretraining of single channels is not needed,
because both come embedded.
"""

import torch
from torch import Tensor, nn

from histopair.methods.clip_it import text_stage
from histopair.training import heads
from histopair.training.standardised import Standardised, folded

NEEDS = ("image_embeddings", "reports", "pairs", "text_embeddings")
PARAMETERS = {
    "pairing": "retrieved",
    "retriever": "",
    "corpus": "",
    "rank": 1,
    "wrong_pairs": 0.0,
    "text_dropout": 0.5,
    "layers": 2,
}
DESCRIPTIONS = {
    "text_dropout": "How often a sample's report is dropped in training; with 1 it is never read.",
}


def mistakes(method):
    """What does not fit, by parameter."""
    return {"text_dropout": "it is a share, 1 at most"} if method["text_dropout"] > 1 else {}


class ModalityDropout(nn.Module):
    """Features (n, d) of images and (n, e) of texts -> logits (n, C).

    Texts are read in training alone, each with probability 1 - dropout.
    """

    def __init__(
        self, image: Standardised, text: Standardised, classes: int, layers: int, dropout: float
    ):
        super().__init__()
        self.image, self.text, self.dropout = image, text, dropout
        self.head = heads.mlp(len(image.mean) + len(text.mean), classes, layers)

    def forward(self, image: Tensor, text: Tensor | None = None) -> Tensor:
        read = image.new_zeros(len(image), len(self.text.mean))
        if self.training and text is not None:
            kept = torch.rand(len(text)).to(text.device) >= self.dropout
            read = self.text(text) * kept[:, None]
        return self.head(torch.cat([self.image(image), read], dim=1))


def build(run):
    features, texts = run.embeddings("image_embeddings"), text_stage.vectors(run)
    vectors, number = texts.vectors.to(run.device), texts.index.to(run.device)
    train, method = run.rows("train"), run.method
    image, text = Standardised(features[train]), Standardised(vectors[number[train]])
    model = ModalityDropout(image, text, len(run.classes), method["layers"], method["text_dropout"])
    yield run.classifier(model, lambda rows: (features[rows], vectors[number[rows]]))


def predictor(run, weights):
    """The first layer without its columns for the text, which are multiplied by zeros."""
    from histopair.export.predictor import Predictor, loaded

    widths = len(weights["image.mean"]), len(weights["text.mean"])
    image, text = (Standardised(torch.zeros(1, width)) for width in widths)
    model = ModalityDropout(image, text, len(run.classes), run.method["layers"], 0.0)
    head = loaded(model, weights).head
    first = nn.Linear(widths[0], head[0].out_features)
    first.weight.data, first.bias.data = head[0].weight.data[:, : widths[0]], head[0].bias.data
    raw = folded(model.image, first)
    return Predictor(nn.Sequential(raw, *head[1:]), image=run.encoder())
