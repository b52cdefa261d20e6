"""The classes of the k nearest train images by cosine; validation chooses k.

Of classes with as many votes the one whose images are more similar is ahead.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from histopair.training import chosen, heads, votes

NEEDS = ("image_embeddings",)
PARAMETERS = {}
SEEDS = 1

NEIGHBOURS = (1, 3, 5, 10, 20, 50, 100)


class Neighbours(nn.Module):
    """Features (n, d) -> logits (n, C) of the shares of the k nearest of m known samples.

    bank (m, d), labels (m, C) in {0, 1}. A share is (votes + 1 / C) / (k + 1), so none is 0 or 1. A
    logit is its logarithm if classes exclude each other, else its log odds.
    """

    def __init__(self, bank: Tensor, labels: Tensor, k: int, exclusive: bool):
        super().__init__()
        self.bank = nn.Parameter(normalize(bank, dim=1))
        self.labels = nn.Parameter(labels.float())
        self.exclusive = exclusive
        self.register_buffer("k", torch.tensor(k))  # among the weights, as the bank is

    def forward(self, features: Tensor) -> Tensor:
        k = self.k.item()
        with heads.exact(features):
            found = votes.of_nearest(normalize(features, dim=1), self.bank, self.labels, k)
        shares = (found + 1 / found.shape[1]) / (k + 1)
        return shares.log() if self.exclusive else shares.logit()


def mistakes(method):
    """Nothing is fitted to a loss."""
    if method.get("loss", "plain") == "plain":
        return {}
    return {"loss": "nothing trains, so only `plain` is of use; take recipe: linear_head"}


def build(run):
    features, train = run.embeddings("image_embeddings"), run.rows("train")
    known = features[train], run.indicator[train].to(run.device)
    models = (
        (Neighbours(*known, k, run.task.EXCLUSIVE), {"neighbours": k, "converged": True})
        for k in NEIGHBOURS
        if k <= len(train)
    )
    edges = {"neighbours": NEIGHBOURS[-1:]}  # there are none below 1
    yield chosen.stage(run, models, lambda rows: (features[rows],), edges)


def predictor(run, weights):
    """The bank of train images is part of the model."""
    from histopair.export import layers
    from histopair.export.predictor import Predictor

    bank, labels, k = weights["bank"], weights["labels"], int(weights["k"])
    layer = layers.Neighbours(bank.shape[1], *labels.shape, k, run.task.EXCLUSIVE)
    layer.bank.data, layer.labels.data = bank, labels
    return Predictor(nn.Sequential(layers.UnitLength(), layer), image=run.encoder())
