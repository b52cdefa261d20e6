"""A transformer's last block, computed for the pooled token alone.

Only that token's output is read, so only its query, output projection and MLP matter; keys and
values are those of all tokens. Outputs and gradients are those of the whole block. In training,
dropout draws for one token instead of all: the same distribution, not the same draws.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from histopair.towers import class_name


def of(block: nn.Module) -> Callable | None:
    """f(block, states, token, mask=None) -> the token's next state (n, 1, d); None for unknown.

    states (n, length, d) are all tokens, token (n, 1, d) the one that is read, mask (n, length)
    False where nothing may be read.
    """
    if class_name(block) == "timm.models.vision_transformer.Block" and not _plain(block.attn):
        return None
    return BLOCKS.get(class_name(block))


def _open_clip(block, states: Tensor, token: Tensor, mask: Tensor | None = None) -> Tensor:
    keys = block.ln_1(states)
    hidden = None if mask is None else ~mask
    read = block.attn(block.ln_1(token), keys, keys, need_weights=False, key_padding_mask=hidden)
    token = token + block.ls_1(read[0])
    return token + block.ls_2(block.mlp(block.ln_2(token)))


def _timm(block, states: Tensor, token: Tensor, mask: Tensor | None = None) -> Tensor:
    attn, asked = block.attn, block.norm1(token)
    width, bias = attn.attn_dim, attn.qkv.bias
    biases = (None, None) if bias is None else bias.split([width, 2 * width])
    weights = attn.qkv.weight.split([width, 2 * width])
    query = functional.linear(asked, weights[0], biases[0])
    key, value = functional.linear(block.norm1(states), weights[1], biases[1]).chunk(2, dim=-1)
    norms = attn.q_norm, attn.k_norm
    read = attn.norm(_attend(query, key, value, attn.num_heads, mask, attn.attn_drop, norms))
    if attn.gate is not None:
        read = read * attn.gate(asked).sigmoid()
    token = token + block.drop_path1(block.ls1(attn.proj_drop(attn.proj(read))))
    return token + block.drop_path2(block.ls2(block.mlp(block.norm2(token))))


def _plain(attn: nn.Module) -> bool:
    """timm's usual attention, its projection to queries, keys and values as it came."""
    usual = class_name(attn) == "timm.layers.attention.Attention"
    return usual and type(attn.qkv) is nn.Linear


def _bert(block, states: Tensor, token: Tensor, mask: Tensor) -> Tensor:
    attn = block.attention.self
    query, key, value = attn.query(token), attn.key(states), attn.value(states)
    read = _attend(query, key, value, attn.num_attention_heads, mask, attn.dropout)
    return block.feed_forward_chunk(block.attention.output(read, token))


def _distilbert(block, states: Tensor, token: Tensor, mask: Tensor) -> Tensor:
    attn = block.attention
    query, key, value = attn.q_lin(token), attn.k_lin(states), attn.v_lin(states)
    read = attn.out_lin(_attend(query, key, value, attn.n_heads, mask, attn.dropout))
    token = block.sa_layer_norm(read + token)
    return block.output_layer_norm(block.ffn(token) + token)


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: int,
    mask: Tensor | None,
    dropout: nn.Dropout,
    norms: tuple = (nn.Identity(), nn.Identity()),
) -> Tensor:
    """Attention of queries (n, q, d) to keys and values (n, length, d), head by head."""
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    read = functional.scaled_dot_product_attention(
        norms[0](query),
        norms[1](key),
        value,
        attn_mask=None if mask is None else mask[:, None, None, :],
        dropout_p=dropout.p if dropout.training else 0.0,
    )
    return read.transpose(1, 2).flatten(2)


BLOCKS = {
    "open_clip.transformer.ResidualAttentionBlock": _open_clip,
    "timm.models.vision_transformer.Block": _timm,
    "transformers.models.bert.modeling_bert.BertLayer": _bert,
    "transformers.models.distilbert.modeling_distilbert.TransformerBlock": _distilbert,
}
