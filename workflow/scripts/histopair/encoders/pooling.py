"""Token states of an image as one vector: the class token, the mean of the patches, or both."""

import torch
from torch import Tensor, nn

from histopair.encoders.weights import Refusal

POOLINGS = ("cls", "mean", "cls+mean")


def pooled(states: Tensor, pooling: str, prefix: int) -> Tensor:
    """States (n, length, d) -> (n, d), or (n, 2 d) for "cls+mean".

    The first `prefix` tokens are no patches: the class token, then registers. "cls" is the first
    token, "mean" the mean of the patches (Virchow's model card: both, one after the other).
    """
    if pooling == "cls":
        return states[:, 0]
    mean = states[:, prefix:].mean(1)
    return mean if pooling == "mean" else torch.cat([states[:, 0], mean], dim=1)


class PooledTimm(nn.Module):
    """A timm transformer whose normalised tokens are pooled: pixels -> (n, d) or (n, 2 d)."""

    def __init__(self, model: nn.Module, pooling: str):
        super().__init__()
        self.model, self.pooling = model, pooling
        self.prefix = model.num_prefix_tokens

    def forward(self, pixels: Tensor) -> Tensor:
        return pooled(self.model.forward_features(pixels), self.pooling, self.prefix)


class PooledImage(nn.Module):
    """An image model of transformers: pixels (n, 3, h, w) -> (n, d) or (n, 2 d).

    `pooling` is one of POOLINGS, or "pooler", the model's own pooled output. A pooler that is not
    read is left out, because no adapter of it could learn.
    """

    def __init__(self, model: nn.Module, pooling: str, prefix: int):
        super().__init__()
        self.model, self.pooling, self.prefix = model, pooling, prefix
        self.described = model.config
        if pooling != "pooler" and getattr(model, "pooler", None) is not None:
            model.pooler = None

    def forward(self, pixels: Tensor) -> Tensor:
        output = self.model(pixel_values=pixels)
        if isinstance(output, Tensor):
            return output if output.ndim == 2 else pooled(output, self.pooling, self.prefix)
        if self.pooling == "pooler":
            return output.pooler_output
        return pooled(output.last_hidden_state, self.pooling, self.prefix)


def check_tokens(model: nn.Module, pooling: str) -> None:
    """Raise Refusal for a timm model without the tokens that a pooling reads."""
    prefix = getattr(model, "num_prefix_tokens", None)
    if prefix is None or ("cls" in pooling and not prefix):
        problem = f"`pooling` {pooling!r}: {type(model).__name__} has no class token"
        raise Refusal(problem, "Leave out `pooling`: it pools by itself")
