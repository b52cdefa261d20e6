"""A transformer's last block, computed for the pooled token alone.

Only that token's output is read, so only its query, output projection and MLP matter. Keys and
values are linear in the normalised tokens x, so they need not be computed either: with one query q,
q . (W_k x) = (W_k' q) . x, and the sum of a W_v x is W_v times the sum of a x. Outputs and
gradients are those of the whole block, up to rounding. In training, dropout draws for one token
instead of all: the same distribution, but other draws.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from histopair.encoders.activations.towers import class_name
from histopair.encoders.plain_attention import Attention

Linear = tuple[Tensor, Tensor | None]


def of(block: nn.Module) -> Callable | None:
    """f(block, states, token, mask=None) -> the token's next state (n, 1, d); None if unknown.

    states (n, length, d): all tokens; token (n, 1, d): the one that is read; mask (n, length):
    False where nothing may be read.
    """
    compute, usual = BLOCKS.get(class_name(block), (None, None))
    return compute if compute and usual(block) else None


def read(
    query: Tensor,
    states: Tensor,
    key: Linear,
    value: Linear,
    heads: int,
    mask: Tensor | None,
    dropout: float,
) -> Tensor:
    """Attention (n, 1, d) of one query (n, 1, d) to states (n, length, e).

    key, value: weight (d, e) and bias (d,) or None, heads one after the other in d. dropout: of the
    attention's weights.
    """
    query = query[:, 0].unflatten(-1, (heads, -1)).transpose(0, 1)  # (h, n, d / h)
    key_weight, value_weight = (weight.unflatten(0, (heads, -1)) for weight, _ in (key, value))
    scores = (query @ key_weight).transpose(0, 1) @ states.transpose(1, 2)  # (n, h, length)
    if key[1] is not None:
        bias = key[1].unflatten(0, (heads, -1)).unsqueeze(-1)
        scores = scores + (query @ bias).transpose(0, 1)
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None], float("-inf"))
    weights = (scores * query.shape[-1] ** -0.5).softmax(-1)
    weights = functional.dropout(weights, dropout)
    mixed = (weights @ states).transpose(0, 1) @ value_weight.transpose(1, 2)  # (h, n, d / h)
    mixed = mixed.transpose(0, 1)
    if value[1] is not None:
        mixed = mixed + weights.sum(-1, keepdim=True) * value[1].unflatten(0, (heads, -1))
    return mixed.flatten(1).unsqueeze(1)


def _open_clip(block, states: Tensor, token: Tensor, mask: Tensor | None = None) -> Tensor:
    attn = block.attn
    (weight, bias), key, value = _three(attn.in_proj.weight, attn.in_proj.bias)
    query = functional.linear(block.ln_1(token), weight, bias)
    dropout = attn.dropout if attn.training else 0.0
    seen = read(query, block.ln_1(states), key, value, attn.num_heads, mask, dropout)
    token = token + block.ls_1(attn.out_proj(seen))
    return token + block.ls_2(block.mlp(block.ln_2(token)))


def _usual_open_clip(block) -> bool:
    attn = block.attn
    if type(attn) is not Attention or not attn.batch_first:
        return False
    linear = _all_linear(attn.in_proj, attn.out_proj)
    return linear and attn.bias_k is None and not attn.add_zero_attn


def _timm(block, states: Tensor, token: Tensor, mask: Tensor | None = None) -> Tensor:
    attn, normed = block.attn, block.norm1(token)
    (weight, bias), key, value = _three(attn.qkv.weight, attn.qkv.bias)
    query = functional.linear(normed, weight, bias)
    dropout = attn.attn_drop.p if attn.training else 0.0
    seen = attn.norm(read(query, block.norm1(states), key, value, attn.num_heads, mask, dropout))
    if attn.gate is not None:
        seen = seen * attn.gate(normed).sigmoid()
    token = token + block.drop_path1(block.ls1(attn.proj_drop(attn.proj(seen))))
    return token + block.drop_path2(block.ls2(block.mlp(block.norm2(token))))


def _usual_timm(block) -> bool:
    """Not with norms of queries and keys, which make keys no longer linear in the tokens."""
    attn = block.attn
    usual = class_name(attn) == "timm.layers.attention.Attention" and _all_linear(attn.qkv)
    return usual and all(isinstance(norm, nn.Identity) for norm in (attn.q_norm, attn.k_norm))


def _all_linear(*layers: nn.Module | None) -> bool:
    """Whether layers are Linears: subclasses and adapters compute something else."""
    return all(type(layer) is nn.Linear for layer in layers)


def _three(weight: Tensor, bias: Tensor | None) -> list[Linear]:
    """The parts of a projection for queries, keys and values."""
    biases = (None, None, None) if bias is None else bias.chunk(3)
    return list(zip(weight.chunk(3), biases, strict=True))


def _bert(block, states: Tensor, token: Tensor, mask: Tensor) -> Tensor:
    attn = block.attention.self
    key, value = ((part.weight, part.bias) for part in (attn.key, attn.value))
    dropout = attn.dropout.p if attn.training else 0.0
    seen = read(attn.query(token), states, key, value, attn.num_attention_heads, mask, dropout)
    return block.feed_forward_chunk(block.attention.output(seen, token))


def _usual_bert(block) -> bool:
    return _all_linear(block.attention.self.key, block.attention.self.value)


def _distilbert(block, states: Tensor, token: Tensor, mask: Tensor) -> Tensor:
    attn = block.attention
    key, value = ((part.weight, part.bias) for part in (attn.k_lin, attn.v_lin))
    dropout = attn.dropout.p if attn.training else 0.0
    seen = read(attn.q_lin(token), states, key, value, attn.n_heads, mask, dropout)
    token = block.sa_layer_norm(attn.out_lin(seen) + token)
    return block.output_layer_norm(block.ffn(token) + token)


def _usual_distilbert(block) -> bool:
    return _all_linear(block.attention.k_lin, block.attention.v_lin)


BLOCKS = {
    "open_clip.transformer.ResidualAttentionBlock": (_open_clip, _usual_open_clip),
    "timm.models.vision_transformer.Block": (_timm, _usual_timm),
    "transformers.models.bert.modeling_bert.BertLayer": (_bert, _usual_bert),
    "transformers.models.distilbert.modeling_distilbert.TransformerBlock": (
        _distilbert,
        _usual_distilbert,
    ),
}
