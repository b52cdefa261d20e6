"""How the towers of open_clip, timm and transformers are built: the parts around their blocks."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from histopair.encoders.clip_pairs import end_of_text
from histopair.encoders.pooling import pooled
from histopair.errors import InputError


@dataclass(frozen=True)
class Parts:
    """A tower's blocks, and the parts before and after them.

    before, after: names of submodules and parameters. enter(part, x) gives the tensors that the
    first block takes; step(block, states, *rest) the next states; leave(part, states, *rest) the
    tower's output. take(states, *rest) is the one token (n, 1, d) that is pooled, if only one is:
    `leave` then takes that token for states.
    """

    blocks: list[nn.Module]
    before: tuple[str, ...]
    after: tuple[str, ...]
    enter: Callable
    step: Callable
    leave: Callable
    take: Callable | None = None


def parts(tower: nn.Module) -> Parts:
    """The parts of a tower. Raises InputError for a tower of another class."""
    try:
        return KINDS[class_name(tower)](tower)
    except KeyError:
        raise unsupported(tower, "is of a class that cannot be split") from None


def class_name(module: nn.Module) -> str:
    """The name of a module's class, so that libraries not in use need not be imported."""
    return f"{type(module).__module__}.{type(module).__qualname__}"


def unsupported(tower: nn.Module, problem: str) -> InputError:
    return InputError(
        class_name(tower),
        f"this tower {problem}",
        "Towers that can be split: VisionTransformer and causal TextTransformer of open_clip, "
        "VisionTransformer and ResNet of timm, BERT, DistilBERT, ViT, DINOv2, CLIP and SigLIP of "
        "transformers, and open_clip's towers around those; or choose a method that trains no "
        "last blocks alone (`unfreeze` or `blocks` of `lora`: all)",
    )


def first(states: Tensor, *_: Tensor) -> Tensor:
    """The class token (n, 1, d)."""
    return states[:, :1]


def plainly(block: nn.Module, states: Tensor) -> Tensor:
    return block(states)


def last(states: Tensor, mask: Tensor) -> Tensor:
    """The last token (n, 1, d) that the mask keeps of each text."""
    return states[torch.arange(len(states), device=states.device), mask.sum(1) - 1].unsqueeze(1)


def _clip_image(tower) -> Parts:
    def leave(part, states):
        pooled = part._pool(states)[0]
        return pooled if part.proj is None else pooled @ part.proj

    if tower.output_tokens or tower.pool_type == "none":
        raise unsupported(tower, "gives more than one vector per image")
    return Parts(
        list(tower.transformer.resblocks),
        ("conv1", "class_embedding", "positional_embedding", "patch_dropout", "ln_pre"),
        ("attn_pool", "attn_pool_contrastive", "ln_post", "proj"),
        enter=lambda part, pixels: (part._embeds(pixels),),
        step=plainly,
        leave=leave,
        take=first if tower.attn_pool is None and tower.pool_type == "tok" else None,
    )


def _clip_text(tower) -> Parts:
    """Causal: tokens after the end of the text never reach it, and are masked."""

    def enter(part, tokens):
        if part.pool_type == "argmax":
            ends = tokens.argmax(1)
        else:
            ends = (tokens == part.eos_id).int().argmax(1)
        length = tokens.shape[1]
        states = part.token_embedding(tokens) + part.positional_embedding[:length]
        return states, torch.arange(length, device=tokens.device) <= ends[:, None]

    def step(block, states, mask):
        length = states.shape[1]
        return block(states, attn_mask=states.new_full((length, length), float("-inf")).triu(1))

    def leave(part, token, mask):
        pooled, projection = part.ln_final(token[:, 0]), part.text_projection
        if isinstance(projection, nn.Module):
            return projection(pooled)
        return pooled if projection is None else pooled @ projection

    causal = getattr(tower, "attn_mask", None) is not None
    plain = tower.cls_emb is None and not tower.use_pad_mask and not tower.output_tokens
    if not (causal and plain and tower.pool_type in ("argmax", "eos")):
        raise unsupported(tower, "does not pool the end-of-text token of a causal transformer")
    blocks = list(tower.transformer.resblocks)
    before, after = ("token_embedding", "positional_embedding"), ("ln_final", "text_projection")
    return Parts(blocks, before, after, enter, step, leave, last)


def _timm_vit(tower) -> Parts:
    tokens = ("patch_embed", "cls_token", "reg_token", "pos_embed")
    return Parts(
        list(tower.blocks),
        (*tokens, "pos_drop", "patch_drop", "norm_pre"),
        ("norm", "attn_pool", "fc_norm", "head_drop", "head"),
        enter=lambda part, pixels: (
            part.norm_pre(part.patch_drop(part._pos_embed(part.patch_embed(pixels)))),
        ),
        step=plainly,
        leave=lambda part, states: part.forward_head(part.norm(states)),
        take=first if tower.global_pool == "token" and tower.attn_pool is None else None,
    )


def pooled_timm(tower: nn.Module, pooling: str, prefix: int) -> Parts:
    """The parts of a timm VisionTransformer whose tokens are pooled by `pooling`."""
    if class_name(tower) != "timm.models.vision_transformer.VisionTransformer":
        raise unsupported(tower, "is of a class that cannot be split")
    parts = _timm_vit(tower)
    leave = lambda part, states: pooled(part.norm(states), pooling, prefix)  # noqa: E731
    return replace(parts, after=("norm",), leave=leave, take=None)


def _timm_resnet(tower) -> Parts:
    return Parts(
        [tower.layer1, tower.layer2, tower.layer3, tower.layer4],
        ("conv1", "bn1", "act1", "maxpool"),
        ("global_pool", "fc"),
        enter=lambda part, pixels: (part.maxpool(part.act1(part.bn1(part.conv1(pixels)))),),
        step=lambda stage, states: stage(states),
        leave=lambda part, states: part.forward_head(states),
    )


def transformers_text(tower: nn.Module, pooling: str, pad_id: int) -> Parts:
    """The parts of a BERT or DistilBERT; `pooling` is "cls", "mean" or "pooler" (BERT's own)."""
    from transformers.masking_utils import create_bidirectional_mask

    kind, config = class_name(tower), tower.config
    if kind not in TRANSFORMERS:
        raise unsupported(tower, "is of a class that cannot be split")

    def enter(part, tokens):
        return part.embeddings(input_ids=tokens.clamp(min=0)), tokens != pad_id

    def step(block, states, mask):
        inputs = {"inputs_embeds": states, "attention_mask": mask.long()}
        return block(states, create_bidirectional_mask(config=config, **inputs))

    def leave(part, states, mask):
        if pooling == "mean":
            weights = mask.unsqueeze(-1).to(states.dtype)
            return (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return part.pooler(states) if pooling == "pooler" else states[:, 0]

    blocks = list(TRANSFORMERS[kind](tower))
    after = ("pooler",) if pooling == "pooler" else ()
    take = None if pooling == "mean" else first
    return Parts(blocks, ("embeddings",), after, enter, step, leave, take)


def transformers_image(tower: nn.Module, pooling: str, prefix: int) -> Parts:
    """The parts of a ViT or DINOv2 of transformers; `pooling` as PooledImage has it."""
    kind = class_name(tower)
    if kind not in IMAGES:
        raise unsupported(tower, "is of a class that cannot be split")
    has_pooler = pooling == "pooler" and hasattr(tower, "pooler")

    def leave(part, states):
        states = part.layernorm(states)
        if has_pooler:
            return part.pooler(states)
        return pooled(states, "cls" if pooling == "pooler" else pooling, prefix)

    return Parts(
        list(IMAGES[kind](tower)),
        ("embeddings",),
        ("layernorm", "pooler") if has_pooler else ("layernorm",),
        enter=lambda part, pixels: (part.embeddings(pixels),),
        step=plainly,
        leave=leave,
        take=first if pooling in ("cls", "pooler") else None,
    )


def _clip_of_transformers(tower) -> Parts:
    return Parts(
        list(tower.encoder.layers),
        ("embeddings", "pre_layrnorm"),
        ("post_layernorm",),
        enter=lambda part, pixels: (part.pre_layrnorm(part.embeddings(pixels)),),
        step=lambda block, states: block(states, None),
        leave=lambda part, states: part.post_layernorm(states[:, 0]),
        take=first,
    )


def _siglip_of_transformers(tower) -> Parts:
    return Parts(
        list(tower.encoder.layers),
        ("embeddings",),
        ("post_layernorm", "head"),
        enter=lambda part, pixels: (part.embeddings(pixels),),
        step=lambda block, states: block(states, None),
        leave=lambda part, states: part.head(part.post_layernorm(states)),
    )


def _clip_text_of_transformers(tower) -> Parts:
    """Causal: tokens after the end of the text never reach it, and are masked."""

    def enter(part, tokens):
        tokens = tokens.clamp(min=0)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return part.embeddings(input_ids=tokens), places <= end_of_text(part, tokens)[:, None]

    def step(block, states, mask):
        length = states.shape[1]
        return block(states, states.new_full((1, 1, length, length), float("-inf")).triu(1))

    return Parts(
        list(tower.encoder.layers),
        ("embeddings",),
        ("final_layer_norm",),
        enter=enter,
        step=step,
        leave=lambda part, token, mask: part.final_layer_norm(token[:, 0]),
        take=last,
    )


def _siglip_text_of_transformers(tower) -> Parts:
    return Parts(
        list(tower.encoder.layers),
        ("embeddings",),
        ("final_layer_norm", "head"),
        enter=lambda part, tokens: (
            part.embeddings(input_ids=tokens),
            torch.ones_like(tokens, dtype=torch.bool),
        ),
        step=lambda block, states, mask: block(states, None),
        leave=lambda part, token, mask: part.head(part.final_layer_norm(token[:, 0])),
        take=last,
    )


CLIP, SIGLIP = (
    "transformers.models.clip.modeling_clip",
    "transformers.models.siglip.modeling_siglip",
)
KINDS = {
    f"{CLIP}.CLIPVisionModel": _clip_of_transformers,
    f"{CLIP}.CLIPTextModel": _clip_text_of_transformers,
    f"{SIGLIP}.SiglipVisionModel": _siglip_of_transformers,
    f"{SIGLIP}.SiglipTextModel": _siglip_text_of_transformers,
    "open_clip.transformer.VisionTransformer": _clip_image,
    "open_clip.transformer.TextTransformer": _clip_text,
    "timm.models.vision_transformer.VisionTransformer": _timm_vit,
    "timm.models.resnet.ResNet": _timm_resnet,
}
TRANSFORMERS = {
    "transformers.models.bert.modeling_bert.BertModel": lambda tower: tower.encoder.layer,
    "transformers.models.distilbert.modeling_distilbert.DistilBertModel": lambda tower: (
        tower.transformer.layer
    ),
}
DINOV2 = "transformers.models.dinov2"
IMAGES = {
    "transformers.models.vit.modeling_vit.ViTModel": lambda tower: tower.layers,
    f"{DINOV2}.modeling_dinov2.Dinov2Model": lambda tower: tower.encoder.layer,
    f"{DINOV2}_with_registers.modeling_dinov2_with_registers.Dinov2WithRegistersModel": (
        lambda tower: tower.encoder.layer
    ),
}
