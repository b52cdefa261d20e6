"""Logistic regression on the frozen backbone's features: a linear head at its optimum.

No learning rate or number of epochs can be too small, so it is the control that adapted backbones
and texts have to beat. Validation chooses the strength of the penalty.
"""

import torch

from histopair.training import chosen, logistic

PARAMETERS = {"inputs": "image"}
CHOICES = {"inputs": ("image", "caption", "both")}
DESCRIPTIONS = {
    "inputs": "What it reads: the embedding of the `image`, of its `caption`, or of `both`, joined."
}
SEEDS = 1  # there is one optimum
AT_OPTIMUM = True


def needs(method):
    """The embeddings of what it reads, images first."""
    kinds = ("image", "caption") if method["inputs"] == "both" else (method["inputs"],)
    return tuple(f"{kind}_embeddings" for kind in kinds)


def mistakes(method):
    """A logistic regression has its own loss."""
    if method.get("loss", "plain") == "plain":
        return {}
    return {"loss": "a logistic regression is fitted by `plain` alone; take recipe: linear_head"}


def build(run):
    features = torch.cat([run.embeddings(kind) for kind in needs(run.method)], dim=1)
    heads = logistic.candidates(run, features)
    yield chosen.stage(run, heads, lambda rows: (features[rows],), **logistic.SEARCH)


def predictor(run, weights):
    from histopair.export.predictor import Predictor, loaded, text_encoder

    encoder = run.encoder()
    inputs = run.method["inputs"]
    image = None if inputs == "caption" else encoder
    text = None if inputs == "image" else text_encoder(run, encoder)
    width = (image.image_dim if image else 0) + (text.text_dim if text else 0)
    head = torch.nn.Linear(width, len(run.classes))
    return Predictor(loaded(head, weights), image=image, text=text)
