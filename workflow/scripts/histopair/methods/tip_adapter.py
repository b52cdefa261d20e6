"""Tip-Adapter: a CLIP's prompts, and a cache of the labelled images beside them (Zhang 2022).

Eq. 6: logits = scale · f W^T + alpha · exp(-beta (1 - f F^T)) L, with f the image's unit vector, W
the classes' prompts, F the unit vectors of the labelled images and L their classes; the scale is
the one that the CLIP learnt. Nothing trains but, with `train_keys`, the keys F (Tip-Adapter-F).
Validation chooses alpha and beta.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from histopair.methods import zero_shot
from histopair.training import chosen, heads

NEEDS = ("image_embeddings", "prompt_embeddings")
PARAMETERS = {"aggregation": "embedding", "train_keys": False}
CHOICES = {"aggregation": ("similarity", "embedding")}
DESCRIPTIONS = {"train_keys": "Whether the cache's keys train (Tip-Adapter-F)."}

# Up to 30, the widest search of the paper's code; both start at 0.1 there.
ALPHAS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
BETAS = (0.1, 0.5, 1.0, 2.0, 5.5, 10.0, 20.0, 30.0)
EDGES = {"alpha": (ALPHAS[0], ALPHAS[-1]), "beta": (BETAS[0], BETAS[-1])}


class Cached(nn.Module):
    """Features (n, d) -> logits (n, C) by prompts (C, d), keys (m, d) and their labels (m, C)."""

    def __init__(
        self,
        prompts: Tensor,
        keys: Tensor,
        labels: Tensor,
        scale: float,
        alpha: float = 1.0,
        beta: float = 5.5,
    ):
        super().__init__()
        self.prompts = nn.Parameter(prompts, requires_grad=False)
        self.keys = nn.Parameter(keys)
        self.labels = nn.Parameter(labels.float(), requires_grad=False)
        self.register_buffer("scale", torch.tensor(scale), persistent=False)
        # Validation chooses them, so that they are among the weights.
        self.register_buffer("alpha", torch.tensor(alpha))
        self.register_buffer("beta", torch.tensor(beta))

    def forward(self, features: Tensor) -> Tensor:
        with heads.exact(features):
            image = normalize(features, dim=1)
            near = torch.exp(-self.beta * (1 - image @ self.keys.T))
            return self.scale * image @ self.prompts.T + self.alpha * near @ self.labels


def mistakes(method):
    """Without trained keys nothing is fitted to a loss."""
    if method["train_keys"] or method.get("loss", "plain") == "plain":
        return {}
    return {"loss": "nothing trains, so only `plain` is of use; set train_keys to true"}


def build(run):
    run.require_exclusive()
    features, train = run.embeddings("image_embeddings"), run.rows("train")
    known = normalize(features[train], dim=1), run.indicator[train].to(run.device)
    model = Cached(zero_shot.class_vectors(run), *known, zero_shot.scale(run.encoder()))

    def fetch(rows):
        return (features[rows],)

    if run.method["train_keys"]:
        yield run.classifier(model, fetch, "keys")
    yield chosen.stage(run, _weighed(model), fetch, EDGES)


def _weighed(model: Cached):
    """The same cache with each alpha and beta."""
    for alpha, beta in itertools.product(ALPHAS, BETAS):
        known = model.prompts.data, model.keys.data, model.labels.data, model.scale.item()
        other = Cached(*known, alpha, beta)
        yield other, {"alpha": alpha, "beta": beta, "converged": True}


def predictor(run, weights):
    """The cache of labelled images is part of the model, as are the classes' vectors."""
    from histopair.export import layers
    from histopair.export.predictor import Predictor

    clip, keys = run.encoder(), weights["keys"]
    labels = run.indicator[run.rows("train")].float()
    cache = layers.Cache(keys.shape[1], *labels.shape, float(weights["beta"]))
    cache.direct.weight.data = zero_shot.scale(clip) * zero_shot.class_vectors(run)
    cache.keys.data, cache.values.data = keys, weights["alpha"] * labels
    return Predictor(nn.Sequential(layers.UnitLength(), cache), image=clip)
