"""What an image tower computes on the way: its attention weights, and its last feature maps."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

# Hooks belong to a module, not to a thread: one pass at a time may have them.
_ONE_AT_A_TIME = threading.Lock()


@dataclass
class Seen:
    """What one pass of one image left in a tower.

    attentions: weights (1, heads, queries, keys) of each attention, from the first on; grid: height
    and width of the patches, if a convolution made them; map: the last output (1, k, h, w) with
    places, None if the tower has attention.
    """

    attentions: list[Tensor] = field(default_factory=list)
    grid: tuple[int, int] | None = None
    map: Tensor | None = None
    depth: int = 0  # of the tower's modules that are at work


@contextmanager
def by(tower: nn.Module) -> Iterator[Seen]:
    """Within the block, whatever `tower` or a part of it computes is kept, with its gradient.

    Attention is kept if it is scaled_dot_product_attention, as in timm, transformers and our own.
    """
    seen = Seen()

    def enter(module: nn.Module, inputs) -> None:
        seen.depth += 1

    def leave(module: nn.Module, inputs, output) -> None:
        seen.depth -= 1
        if isinstance(output, Tensor) and output.dim() == 4 and not seen.attentions:
            _keep(seen, module, output)

    with _ONE_AT_A_TIME:
        hooks = [module.register_forward_pre_hook(enter) for module in tower.modules()]
        hooks += [module.register_forward_hook(leave) for module in tower.modules()]
        try:
            with _Attention(seen):
                yield seen
        finally:
            for hook in hooks:
                hook.remove()


def _keep(seen: Seen, module: nn.Module, output: Tensor) -> None:
    height, width = output.shape[-2:]
    if isinstance(module, nn.Conv2d):
        seen.grid = (height, width)
    if height * width > 1:
        seen.map = output


class _Attention(TorchFunctionMode):
    """Computes scaled_dot_product_attention step by step, so that its weights have a gradient."""

    def __init__(self, seen: Seen):
        super().__init__()
        self.seen = seen

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is not functional.scaled_dot_product_attention or not self.seen.depth:
            return function(*args, **kwargs)
        weights, value = _weights_and_values(*args, **kwargs)
        if torch.is_grad_enabled() and not weights.requires_grad:
            weights.requires_grad_()  # those of constant queries and keys
        self.seen.attentions.append(weights)
        self.seen.map = None
        return weights @ value


def _weights_and_values(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Weights (..., L, S) of torch's scaled_dot_product_attention without dropout, and `value`."""
    scores = query @ key.transpose(-2, -1) * (scale or query.shape[-1] ** -0.5)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, float("-inf"))
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(-1), value
