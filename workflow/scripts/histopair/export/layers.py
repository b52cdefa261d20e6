"""Heads and small networks as data: their layers, as config.json names them."""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize, relu

from histopair.training import heads, votes


class UnitLength(nn.Module):
    """Features (n, d) -> the same directions with length 1."""

    def forward(self, features: Tensor) -> Tensor:
        return normalize(features, dim=1)


class LogOdds(nn.Module):
    """Cosines c -> logits whose sigmoid is (c + 1) / 2."""

    def forward(self, cosines: Tensor) -> Tensor:
        return 2 * torch.atanh(cosines.clamp(-1 + 1e-6, 1 - 1e-6))


class Branches(nn.Module):
    """Image and text branch as one: features (n, width) -> fused logits (n, classes).

    One matrix gives the image's share of the logits, the predicted embedding p, and p times the
    text head's first matrix. p is needed only for its length, the one step besides the LeakyReLU
    that is not linear.
    """

    def __init__(self, width: int, hidden: int, classes: int, slope: float):
        super().__init__()
        self.width, self.hidden, self.classes, self.slope = width, hidden, classes, slope
        self.project = nn.Linear(width, classes + 2 * hidden)
        self.shift = nn.Parameter(torch.zeros(hidden))
        self.out = nn.Linear(hidden, classes, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        parts = (self.classes, self.hidden, self.hidden)
        direct, predicted, hidden = self.project(features).split(parts, dim=1)
        length = predicted.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return direct + self.out(leaky_relu(hidden / length + self.shift, self.slope))


class BesidePrediction(nn.Module):
    """Features (n, width) -> features and the predicted embedding's direction, (n, width + hidden).

    The prediction is linear, or, with `inner`, an MLP with one layer of that width.
    """

    def __init__(self, width: int, hidden: int, inner: int = 0):
        super().__init__()
        self.width, self.hidden, self.inner = width, hidden, inner
        linear = nn.Linear(width, hidden)
        self.predict = heads.mlp(width, hidden, 2, inner) if inner else linear

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([features, normalize(self.predict(features), dim=1)], dim=1)


class Residual(nn.Module):
    """Features x (n, width) -> kept x + ReLU(W2 ReLU(W1 x)), W1 (hidden, width)."""

    def __init__(self, width: int, hidden: int, kept: float):
        super().__init__()
        self.width, self.hidden, self.kept = width, hidden, kept
        self.first = nn.Linear(width, hidden, bias=False)
        self.second = nn.Linear(hidden, width, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        return self.kept * features + relu(self.second(relu(self.first(features))))


class Cache(nn.Module):
    """Unit features x (n, width) -> direct(x) + exp(-beta (1 - x K')) V, logits (n, classes).

    K (size, width) are unit vectors, V (size, classes).
    """

    def __init__(self, width: int, size: int, classes: int, beta: float):
        super().__init__()
        self.width, self.size, self.classes, self.beta = width, size, classes, beta
        self.direct = nn.Linear(width, classes, bias=False)
        self.keys = nn.Parameter(torch.zeros(size, width))
        self.values = nn.Parameter(torch.zeros(size, classes))

    def forward(self, features: Tensor) -> Tensor:
        near = torch.exp(-self.beta * (1 - features @ self.keys.T))
        return self.direct(features) + near @ self.values


class Neighbours(nn.Module):
    """Unit features (n, width) -> logits (n, classes) of the shares of the k nearest in a bank.

    bank (size, width) of unit vectors, labels (size, classes) in {0, 1}. A share is (votes + 1
    / classes) / (k + 1); a logit is its logarithm if classes exclude each other, else its log odds.
    """

    def __init__(self, width: int, size: int, classes: int, k: int, exclusive: bool):
        super().__init__()
        self.width, self.size, self.classes = width, size, classes
        self.k, self.exclusive = k, exclusive
        self.bank = nn.Parameter(torch.zeros(size, width))
        self.labels = nn.Parameter(torch.zeros(size, classes))

    def forward(self, features: Tensor) -> Tensor:
        found = votes.of_nearest(features, self.bank, self.labels, self.k)
        shares = (found + 1 / self.classes) / (self.k + 1)
        return shares.log() if self.exclusive else shares.logit()


# A layer's name in config.json, its class and the arguments that are kept with it.
CONVOLUTION = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")
LAYERS = {
    "linear": (nn.Linear, ("in_features", "out_features", "bias")),
    "convolution": (nn.Conv2d, (*CONVOLUTION, "groups", "bias")),
    "batch_norm": (nn.BatchNorm2d, ("num_features", "eps")),
    "max_pool": (nn.MaxPool2d, ("kernel_size", "stride", "padding")),
    "average_pool": (nn.AdaptiveAvgPool2d, ("output_size",)),
    "flatten": (nn.Flatten, ()),
    "relu": (nn.ReLU, ()),
    "leaky_relu": (nn.LeakyReLU, ("negative_slope",)),
    "unit_length": (UnitLength, ()),
    "log_odds": (LogOdds, ()),
    "beside_prediction": (BesidePrediction, ("width", "hidden", "inner")),
    "residual": (Residual, ("width", "hidden", "kept")),
    "cache": (Cache, ("width", "size", "classes", "beta")),
    "neighbours": (Neighbours, ("width", "size", "classes", "k", "exclusive")),
    "branches": (Branches, ("width", "hidden", "classes", "slope")),
}


def describe(layers: nn.Sequential) -> list[list]:
    """Layers as a list of [name, *arguments]; raises ValueError for one that is not in LAYERS."""
    names = {kind: name for name, (kind, _) in LAYERS.items()} | {heads.Last: "linear"}
    unknown = [type(layer).__name__ for layer in layers if type(layer) not in names]
    if unknown:
        raise ValueError(f"a {unknown[0]} layer cannot be written to config.json")
    named = [(names[type(layer)], layer) for layer in layers]
    return [[name, *(_argument(layer, key) for key in LAYERS[name][1])] for name, layer in named]


def _argument(layer: nn.Module, key: str) -> object:
    value = getattr(layer, key)
    return value is not None if key == "bias" else value


def build(layout: list[list]) -> nn.Sequential:
    """The layers that `describe` wrote down, their weights not yet loaded."""
    return nn.Sequential(*(LAYERS[name][0](*arguments) for name, *arguments in layout))
