"""A fusion of image and report that learns to do without the report (ModDrop, Neverova 2015).

An MLP reads [v, t]: the backbone's features and the retriever's embedding of the report at length
1. In training t is dropped with a probability, each time for each sample anew, and zeros stand in
its place. Validation, the choice of the epoch, and inference have the image alone.

Of the paper it is the dropping of whole channels; its pretraining of single channels is not needed,
because both come embedded.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from histopair.methods.clip_it import text_stage
from histopair.training import heads

NEEDS = ("image_embeddings", "reports", "pairs", "text_embeddings")
PARAMETERS = {
    "pairing": "retrieved",
    "retriever": "",
    "corpus": "",
    "rank": 1,
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

    def __init__(self, width: int, text_width: int, classes: int, layers: int, dropout: float):
        super().__init__()
        self.text_width, self.dropout = text_width, dropout
        self.head = heads.mlp(width + text_width, classes, layers)

    def forward(self, image: Tensor, text: Tensor | None = None) -> Tensor:
        read = image.new_zeros(len(image), self.text_width)
        if self.training and text is not None:
            kept = torch.rand(len(text)).to(text.device) >= self.dropout
            read = text * kept[:, None]
        return self.head(torch.cat([image, read], dim=1))


def build(run):
    features, texts = run.embeddings("image_embeddings"), text_stage.vectors(run)
    vectors = normalize(texts.vectors, dim=1).to(run.device)
    method, widths = run.method, (features.shape[1], vectors.shape[1])
    model = ModalityDropout(*widths, len(run.classes), method["layers"], method["text_dropout"])
    yield run.classifier(
        model, lambda rows: (features[rows], vectors[texts.index[rows].to(run.device)])
    )


def predictor(run, weights):
    """The first layer without its columns for the text, which are multiplied by zeros."""
    from histopair.export.predictor import Predictor, loaded

    encoder = run.encoder()
    width, method = encoder.image_dim, run.method
    text_width = weights["head.0.weight"].shape[1] - width
    model = ModalityDropout(width, text_width, len(run.classes), method["layers"], 0.0)
    head = loaded(model, weights).head
    first = nn.Linear(width, head[0].out_features)
    first.weight.data, first.bias.data = head[0].weight.data[:, :width], head[0].bias.data
    return Predictor(nn.Sequential(first, *head[1:]), image=encoder)
