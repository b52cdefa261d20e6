"""Attention of one learnt query to an image's tokens."""

import torch
from torch import Tensor, nn

from histopair.methods.cross_attention.asking import Question


class QueryPooling(nn.Module):
    """Tokens (n, length, width) -> norm(q + attention of q to them), (n, width).

    A layer norm first puts the tokens of any tower on one scale.
    """

    def __init__(self, width: int, attention_heads: int):
        super().__init__()
        self.query = nn.Parameter(0.02 * torch.randn(1, width))
        self.norm = nn.LayerNorm(width)
        self.ask = Question(width, width, attention_heads)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.ask(self.query.expand(tokens.shape[0], -1), self.norm(tokens))
