"""Classification heads of both papers."""

from itertools import pairwise

from torch import nn


def mlp(width_in: int, classes: int, layers: int = 4, hidden: int = 512) -> nn.Sequential:
    """`layers` linear layers with ReLU between them (multi-label paper, "4-layer MLP")."""
    widths = [width_in, *[hidden] * (layers - 1), classes]
    steps = []
    for left, right in pairwise(widths):
        steps += [nn.Linear(left, right), nn.ReLU()]
    return nn.Sequential(*steps[:-1])


def text_head(width: int, classes: int) -> nn.Sequential:
    """CLIP-IT's text classifier: Linear(d, d), LeakyReLU(0.1), Linear(d, C)."""
    return nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(0.1), nn.Linear(width, classes))
