"""A tower in two: frozen blocks, and the blocks that train; trained(*frozen(x)) is tower(x).

The output of the frozen blocks never changes while the others train, so it can be computed once.
For images it is one tensor, for texts the states (n, length, d) and a mask (n, length), False at
padding.
"""

import copy

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from histopair.encoders.activations import one_token, towers
from histopair.encoders.activations.towers import Parts
from histopair.errors import InputError

# open_clip's names of poolers -> `pooling`.
POOLERS = {"ClsLastHiddenStatePooler": "cls", "ClsPooler": "pooler", "MeanPooler": "mean"}

# Images whose tokens are pooled here -> the parts of the model inside.
POOLED = {
    "histopair.encoders.pooling.PooledTimm": towers.pooled_timm,
    "histopair.encoders.pooling.PooledImage": towers.transformers_image,
}
# A model, and its projection into the space of a pair.
PAIRED = ("histopair.encoders.clip_pairs.ImageTower", "histopair.encoders.clip_pairs.TextTower")
PAIRED += ("histopair.encoders.libraries.keep.ImageTower",)


class Frozen(nn.Module):
    """The frozen blocks: x -> a tuple of tensors, without gradients, in x's own precision.

    They stay in evaluation mode whatever the model around them does: no dropout, and batch
    statistics as they were learnt.
    """

    def __init__(self, parts: Parts, tower: nn.Module, blocks: list[nn.Module]):
        super().__init__()
        self.parts, self.start = parts, _only(tower, parts.before)
        self.blocks = nn.ModuleList(blocks)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True):
        return super().train(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(x.device.type, enabled=False):
            states, *rest = self.parts.enter(self.start, x)
            for block in self.blocks:
                states = self.parts.step(block, states, *rest)
        return states, *rest


class Start(nn.Module):
    """What comes before the blocks of a tower that trains wholly: x -> a tuple of tensors."""

    def __init__(self, parts: Parts, tower: nn.Module):
        super().__init__()
        self.parts, self.start = parts, _only(tower, parts.before)
        self.requires_grad_(True)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.parts.enter(self.start, x))


class Nothing(nn.Module):
    """Before a tower of which all trains: x -> (x,)."""

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (x,)


class Trained(nn.Module):
    """The part that trains: the last blocks, and all after them (norms, pooling, projection)."""

    def __init__(self, parts: Parts, tower: nn.Module, blocks: list[nn.Module], alone: bool):
        super().__init__()
        self.parts, self.blocks = parts, nn.ModuleList(blocks)
        self.end = _only(tower, parts.after)
        self.alone = one_token.of(blocks[-1]) if alone and parts.take else None
        self.recomputed = False
        self.requires_grad_(True)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """As timm's and open_clip's towers have it; the last block is computed once."""
        self.recomputed = enable

    def forward(self, states: Tensor, *rest: Tensor) -> Tensor:
        step, take = self.parts.step, self.parts.take
        *others, last = self.blocks
        for block in others:
            if self.recomputed and self.training:
                states = checkpoint(step, block, states, *rest, use_reentrant=False)
            else:
                states = step(block, states, *rest)
        if self.alone:
            states = self.alone(last, states, take(states, *rest), *rest)
        else:
            states = step(last, states, *rest)
            states = take(states, *rest) if take else states
        return self.parts.leave(self.end, states, *rest)


class Projected(nn.Module):
    """Trained blocks, and the projection that a CLIP of two other towers puts on them."""

    def __init__(self, trained: nn.Module, projection: nn.Module):
        super().__init__()
        self.trained, self.projection = trained, projection.requires_grad_(True)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        self.trained.set_grad_checkpointing(enable)

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.projection(self.trained(*tensors))


def split(
    tower: nn.Module, blocks: int | str, alone: bool = True
) -> tuple[Frozen | Nothing, nn.Module]:
    """The frozen blocks of a tower, and its last `blocks` blocks with all that follows them.

    A block is a transformer block, or a stage of a ResNet. With "all", the tower itself trains,
    whatever its class, and takes pixels or tokens. Both halves share the tower's
    parameters; those of the last blocks train, the others do not. `alone=False` computes the last
    block for all tokens even if only one is pooled. Raises InputError for a tower of a class that
    towers.py does not have, and if no block would stay frozen.
    """
    if blocks == "all":
        return Nothing(), tower.requires_grad_(True)
    return _divided(tower, blocks, alone)


def entered(tower: nn.Module) -> tuple[Start, nn.Module]:
    """What comes before a tower's blocks, and its blocks with all after them; all of it trains.

    For who needs the states between them. Raises InputError for a tower of a class that towers.py
    does not have.
    """
    return _divided(tower, "all", True)


def _divided(tower: nn.Module, blocks: int | str, alone: bool) -> tuple[nn.Module, nn.Module]:
    kind = towers.class_name(tower)
    if kind == "open_clip.timm_model.TimmModel":
        frozen, trained = _divided(tower.trunk, blocks, alone)
        return frozen, Projected(trained, tower.head)
    if kind == "open_clip.hf_model.HFTextEncoder":
        frozen, trained = _halves(tower.transformer, _clip_text_parts(tower), blocks, alone)
        return frozen, Projected(trained, tower.proj)
    if kind == "histopair.encoders.libraries.transformers.PooledText":
        parts = towers.transformers_text(tower.transformer, tower.pooling, tower.pad_id)
        return _halves(tower.transformer, parts, blocks, alone)
    if kind in POOLED:
        parts = POOLED[kind](tower.model, tower.pooling, tower.prefix)
        return _halves(tower.model, parts, blocks, alone)
    if kind in PAIRED:
        frozen, trained = split(tower.model, blocks, alone)
        return frozen, Projected(trained, tower.projection)
    return _halves(tower, towers.parts(tower), blocks, alone)


def frozen(tower: nn.Module, blocks: int) -> Frozen:
    """All but the last `blocks` blocks of a tower.

    With 0 these are all its blocks: an image tower's tokens, before norms and pooling.
    """
    if blocks:
        return split(tower, blocks)[0]
    kind = towers.class_name(tower)
    if kind == "open_clip.timm_model.TimmModel":
        return frozen(tower.trunk, 0)
    if kind in PAIRED:
        return frozen(tower.model, 0)
    if kind in POOLED:
        parts, inner = POOLED[kind](tower.model, tower.pooling, tower.prefix), tower.model
    else:
        parts, inner = towers.parts(tower), tower
    return Frozen(parts, inner, parts.blocks)


def trained_part(tower: nn.Module, blocks: int | str) -> nn.Module:
    """The part of a tower that trains: its last `blocks` blocks and all after them, or nothing.

    With "all", the tower itself.
    """
    return split(tower, blocks)[1] if blocks else nn.Identity()


def _halves(
    tower: nn.Module, parts: Parts, blocks: int | str, alone: bool
) -> tuple[Frozen | Start, Trained]:
    if blocks == "all":
        trained = Trained(parts, tower, parts.blocks, alone)
        return Start(parts, tower), trained.train(tower.training)
    cut = len(parts.blocks) - blocks
    if not 0 < cut < len(parts.blocks):
        problem = f"{blocks} of its {len(parts.blocks)} blocks cannot train alone"
        remedy = (
            f"Set `unfreeze`, or the `blocks` of `lora`, to 1 ... {len(parts.blocks) - 1}, which "
            "leave a block frozen, or all"
        )
        raise InputError(towers.class_name(tower), problem, remedy)
    frozen = Frozen(parts, tower, parts.blocks[:cut])
    return frozen, Trained(parts, tower, parts.blocks[cut:], alone).train(tower.training)


def _clip_text_parts(tower: nn.Module) -> Parts:
    pooling = POOLERS.get(type(tower.pooler).__name__)
    if pooling is None or tower.output_tokens:
        raise towers.unsupported(tower, "pools its text in a way that cannot be split")
    if pooling == "pooler" and getattr(tower.transformer, "pooler", None) is None:
        pooling = "cls"
    return towers.transformers_text(tower.transformer, pooling, tower.config.pad_token_id)


def _only(module: nn.Module, names: tuple[str, ...]) -> nn.Module:
    """A module of the same class with only these of its parts, shared and not copied."""
    part = copy.copy(module)
    for kind in ("_parameters", "_buffers", "_modules"):
        kept = {name: value for name, value in getattr(module, kind).items() if name in names}
        part.__dict__[kind] = kept
    return part
