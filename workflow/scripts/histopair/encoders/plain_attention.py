"""Attention as plain Linears, in place of torch's own, which hides its projections.

nn.MultiheadAttention keeps three projections in one parameter and reads the weight of the fourth
without calling it, so adapters, counters and splits would each need a special case. The class here
computes the same, calls its layers, and keeps the library's names in its state dict.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from histopair.errors import InputError

# Our names of weights -> those of torch's module, which every state dict has.
NAMES = {
    "in_proj.weight": "in_proj_weight",
    "in_proj.bias": "in_proj_bias",
    "q_proj.weight": "q_proj_weight",
    "k_proj.weight": "k_proj_weight",
    "v_proj.weight": "v_proj_weight",
}


class Attention(nn.Module):
    """Computes what an nn.MultiheadAttention does (Vaswani 2017, Section 3.2), with its parameters.

    `in_proj` projects to queries, keys and values together. If keys or values have another width,
    it is None, and there are `q_proj`, `k_proj` and `v_proj`, with their biases in `in_proj_bias`.
    Arguments and return values are torch's.
    """

    # Keeps torch's encoder layers from reading the weights without calling these layers.
    _qkv_same_embed_dim = False

    def __init__(self, source: nn.MultiheadAttention):
        super().__init__()
        self.embed_dim, self.kdim, self.vdim = source.embed_dim, source.kdim, source.vdim
        self.num_heads, self.head_dim = source.num_heads, source.head_dim
        self.dropout, self.batch_first = source.dropout, source.batch_first
        self.add_zero_attn = source.add_zero_attn
        packed = source.in_proj_weight is not None
        self.in_proj = _linear(source.in_proj_weight, source.in_proj_bias) if packed else None
        if not packed:
            self.q_proj = _linear(source.q_proj_weight)
            self.k_proj = _linear(source.k_proj_weight)
            self.v_proj = _linear(source.v_proj_weight)
        self.register_parameter("in_proj_bias", None if packed else source.in_proj_bias)
        self.register_parameter("bias_k", source.bias_k)
        self.register_parameter("bias_v", source.bias_v)
        self.out_proj = _linear(source.out_proj.weight, source.out_proj.bias)
        self.train(source.training)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        if is_causal and attn_mask is None:
            raise ValueError("is_causal is a hint about attn_mask, and there is none")
        single = query.dim() == 2
        projected = self._projected(query, key, value)
        q, k, v = self._heads(*(self._batch_first(x, single) for x in projected))
        if key_padding_mask is not None and single:
            key_padding_mask = key_padding_mask[None]
        mask = self._mask(attn_mask, key_padding_mask, q, k)
        dropout = self.dropout if self.training else 0.0
        if not need_weights:
            seen = functional.scaled_dot_product_attention(q, k, v, mask, dropout)
            return self._out(seen, single), None
        weights = _weights(q, k, mask, dropout)
        seen = self._out(weights @ v, single)
        weights = weights.mean(1) if average_attn_weights else weights
        return seen, weights[0] if single else weights

    def _out(self, seen: Tensor, single: bool) -> Tensor:
        """The output of heads (n, h, length, d / h), as the caller gave the query."""
        joined = self.out_proj(seen.transpose(1, 2).flatten(2))
        return self._batch_first(joined, single, back=True)

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        inputs = query, key, value
        if self.in_proj is None:
            layers = self.q_proj, self.k_proj, self.v_proj
            projected = [layer(x) for layer, x in zip(layers, inputs, strict=True)]
            if self.in_proj_bias is None:
                return tuple(projected)
            biases = self.in_proj_bias.chunk(3)
            return tuple(x + bias for x, bias in zip(projected, biases, strict=True))
        if query is key and key is value:
            return self.in_proj(query).chunk(3, dim=-1)
        weights, bias = self.in_proj.weight.chunk(3), self.in_proj.bias
        biases = (None, None, None) if bias is None else bias.chunk(3)
        return tuple(map(functional.linear, inputs, weights, biases))

    def _batch_first(self, x: Tensor, single: bool, back: bool = False) -> Tensor:
        """The caller's layout to (n, length, d), or with `back` the other way."""
        if single:
            return x[0] if back else x[None]
        return x if self.batch_first else x.transpose(0, 1)

    def _heads(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        """Heads (n, h, length, d / h), with the keys and values that are learnt or zero."""
        if self.bias_k is not None:
            k, v = (
                torch.cat([x, learnt.to(x.dtype).expand(len(x), 1, -1)], 1)
                for x, learnt in ((k, self.bias_k), (v, self.bias_v))
            )
        if self.add_zero_attn:
            k, v = (functional.pad(x, (0, 0, 0, 1)) for x in (k, v))
        return tuple(x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))

    def _mask(
        self, mask: Tensor | None, padding: Tensor | None, q: Tensor, k: Tensor
    ) -> Tensor | None:
        """What is added to the scores; every query sees learnt and zero keys."""
        masks = []
        if mask is not None:
            mask = mask.unflatten(0, (-1, self.num_heads)) if mask.dim() == 3 else mask
            masks.append(_added(mask, q.dtype))
        if padding is not None:
            masks.append(_added(padding, q.dtype)[:, None, None])
        if not masks:
            return None
        total = sum(masks[1:], masks[0])
        return functional.pad(total, (0, k.shape[2] - total.shape[-1]))

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        options = {"destination": destination, "prefix": prefix, "keep_vars": keep_vars}
        state = super().state_dict(*args, **options)
        for ours, theirs in NAMES.items():
            if prefix + ours in state:
                state[prefix + theirs] = state.pop(prefix + ours)
        return state

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        for ours, theirs in NAMES.items():
            # Without in_proj this module has in_proj_bias itself.
            same_name = theirs == "in_proj_bias" and self.in_proj is None
            if prefix + theirs in state_dict and not same_name:
                state_dict[prefix + ours] = state_dict.pop(prefix + theirs)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def rewritten(tower: nn.Module, name: str = "") -> nn.Module:
    """Replace each nn.MultiheadAttention of `tower` by an Attention, in place.

    `name` is the encoder's, for the message. Raises InputError for a kind of nn.MultiheadAttention
    that computes something else.
    """
    for module in tower.modules():
        if isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False  # it reads the layers' weights without calling them

    def plain(module: nn.Module) -> nn.Module | None:
        if not isinstance(module, nn.MultiheadAttention):
            return None
        if type(module).forward is not nn.MultiheadAttention.forward or _computed(module):
            where = f"encoder {name or type(tower).__name__}"
            problem = f"its kind of attention is not known here, {type(module).__qualname__}"
            raise InputError(where, problem, "Choose another encoder")
        return Attention(module)

    return replaced(tower, plain)


def replaced(tower: nn.Module, new: Callable[[nn.Module], nn.Module | None]) -> nn.Module:
    """Put new(module) in the place of each module of `tower` for which it is not None.

    Works in place and returns the tower, or its replacement. Shared modules stay shared. Modules
    inside a replaced one are not visited.
    """
    replacements: dict[nn.Module, nn.Module | None] = {}

    def visit(module: nn.Module) -> nn.Module:
        if module not in replacements:
            replacements[module] = new(module)
            if replacements[module] is None:
                for name, child in module._modules.items():
                    if child is not None:
                        setattr(module, name, visit(child))
        return module if replacements[module] is None else replacements[module]

    return visit(tower)


def _linear(weight: nn.Parameter, bias: nn.Parameter | None = None) -> nn.Linear:
    """A Linear that holds these very parameters."""
    out, features = weight.shape
    layer = nn.Linear(features, out, bias=bias is not None, device="meta")
    layer.weight = weight
    if bias is not None:
        layer.bias = bias
    return layer


def _computed(module: nn.MultiheadAttention) -> bool:
    """Whether a parametrization or a hook computes a weight in each pass."""
    owners = (module, module.out_proj)
    hooked = any(m._forward_pre_hooks or m._forward_hooks for m in owners)
    return hooked or any(nn.utils.parametrize.is_parametrized(m) for m in owners)


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask that can be added to scores: -inf where a boolean mask is True."""
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask, float("-inf"))


def _weights(q: Tensor, k: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """The weights (n, h, queries, keys) of attention, after dropout."""
    scores = q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)
    scores = scores if mask is None else scores + mask
    return functional.dropout(scores.softmax(-1), dropout)
