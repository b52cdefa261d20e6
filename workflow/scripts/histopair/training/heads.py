"""Classification heads of both papers."""

from itertools import pairwise

import torch
from torch import Tensor, nn


class Last(nn.Linear):
    """The layer that gives logits, in float32 whatever comes before it.

    bfloat16 has no number between 32 and 32.25: sure classes would tie.
    """

    def forward(self, features: Tensor) -> Tensor:
        with exact(features):
            return super().forward(features.to(self.weight.dtype))


def exact(tensor: Tensor) -> torch.autocast:
    """Without an autocast on a tensor's device."""
    return torch.autocast(tensor.device.type, enabled=False)


def mlp(width_in: int, classes: int, layers: int = 4, hidden: int = 512) -> nn.Sequential:
    """`layers` linear layers with ReLU between them (multi-label paper, "4-layer MLP")."""
    widths = [width_in, *[hidden] * (layers - 1), classes]
    steps = []
    for left, right in pairwise(widths[:-1]):
        steps += [nn.Linear(left, right), nn.ReLU()]
    return nn.Sequential(*steps, Last(widths[-2], classes))


def text_head(width: int, classes: int) -> nn.Sequential:
    """CLIP-IT's text classifier: Linear(d, d), LeakyReLU(0.1), Linear(d, C)."""
    return nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(0.1), Last(width, classes))
