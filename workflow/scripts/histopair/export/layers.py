"""Heads and small networks as data: their layers, as config.json names them."""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize


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
    """Features (n, width) -> features and the predicted embedding's direction, (n, width + d)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.width, self.hidden = width, hidden
        self.predict = nn.Linear(width, hidden)

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([features, normalize(self.predict(features), dim=1)], dim=1)


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
    "beside_prediction": (BesidePrediction, ("width", "hidden")),
    "branches": (Branches, ("width", "hidden", "classes", "slope")),
}


def describe(layers: nn.Sequential) -> list[list]:
    """Layers as a list of [name, *arguments]; raises ValueError for one that is not in LAYERS."""
    names = {kind: name for name, (kind, _) in LAYERS.items()}
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
