"""Features of any encoder on one scale, so that a head's learning rate suits them all."""

import torch
from torch import Tensor, nn


class Standardised(nn.Module):
    """Features (n, d) -> less the mean of `rows` (m, d), over their standard deviation.

    As scikit-learn's StandardScaler: a feature that is the same in all rows keeps its scale.
    """

    def __init__(self, rows: Tensor):
        super().__init__()
        spread, mean = torch.std_mean(rows, dim=0, correction=0)
        self.register_buffer("mean", mean)
        self.register_buffer("spread", torch.where(spread > 0, spread, 1.0))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.spread


def folded(standard: Standardised, layer: nn.Linear) -> nn.Linear:
    """The layer that does to raw features what `layer` does to standardised ones."""
    raw = nn.Linear(layer.in_features, layer.out_features)
    with torch.no_grad():
        raw.weight.copy_(layer.weight / standard.spread)
        raw.bias.copy_(layer.bias - raw.weight @ standard.mean)
    return raw
