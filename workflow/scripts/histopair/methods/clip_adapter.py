"""CLIP-Adapter: a small residual MLP on a frozen CLIP's image vector (Gao 2021, Eqs. 5 to 8).

f* = r ReLU(ReLU(f W1) W2) + (1 - r) f; logits are the scaled similarities of f* to the classes'
prompts, at the scale that the CLIP learnt. Only W1 (d, d / 4) and W2 train.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from histopair.methods import zero_shot
from histopair.training import contrastive_loss

NEEDS = ("image_embeddings", "prompt_embeddings")
PARAMETERS = {"aggregation": "embedding", "residual": 0.2}
CHOICES = {"aggregation": ("similarity", "embedding")}
DESCRIPTIONS = {"residual": "r, the adapter's share of the features; the rest is the CLIP's own."}

NARROWER = 4  # the bottleneck's width is a quarter


class Adapted(nn.Module):
    """Features (n, d) -> logits (n, C) against prompts (C, d)."""

    def __init__(self, prompts: Tensor, residual: float, scale: float):
        super().__init__()
        width = prompts.shape[1]
        first = nn.Linear(width, width // NARROWER, bias=False)
        second = nn.Linear(width // NARROWER, width, bias=False)
        self.adapter = nn.Sequential(first, nn.ReLU(), second, nn.ReLU())
        self.prompts = nn.Parameter(prompts, requires_grad=False)
        self.register_buffer("scale", torch.tensor(scale), persistent=False)
        self.residual = residual

    def forward(self, features: Tensor) -> Tensor:
        image = normalize(features, dim=1)
        mixed = self.residual * self.adapter(image) + (1 - self.residual) * image
        return contrastive_loss.similarities(normalize(mixed, dim=1), self.prompts, self.scale)


def mistakes(method):
    """What does not fit, by parameter."""
    return {"residual": "it is a share, 1 at most"} if method["residual"] > 1 else {}


def build(run):
    run.require_exclusive()
    features = run.embeddings("image_embeddings")
    prompts, scale = zero_shot.class_vectors(run), zero_shot.scale(run.encoder())
    model = Adapted(prompts, run.method["residual"], scale)
    yield run.classifier(model, lambda rows: (features[rows],))


def predictor(run, weights):
    """r ReLU(x) is ReLU(r x): the adapter's second layer takes its share in."""
    from histopair.export import layers
    from histopair.export.predictor import Predictor

    clip, share = run.encoder(), run.method["residual"]
    prompts = zero_shot.class_vectors(run)
    first, second = weights["adapter.0.weight"], weights["adapter.2.weight"]
    mix = layers.Residual(prompts.shape[1], len(first), 1 - share)
    mix.first.weight.data, mix.second.weight.data = first, share * second
    last = nn.Linear(prompts.shape[1], len(prompts), bias=False)
    last.weight.data = zero_shot.scale(clip) * prompts
    unit = layers.UnitLength
    return Predictor(nn.Sequential(unit(), mix, unit(), last), image=clip)
