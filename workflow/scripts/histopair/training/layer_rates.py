"""Layer-wise decay of the learning rate: the nearer a layer is to the input, the less it moves.

As BEiT and MAE are fine-tuned (Bao 2022, He 2022): rate x decay^d for the layer d below the head.
"""

from collections import defaultdict

from torch import nn

from histopair.encoders.activations import split_towers, towers
from histopair.errors import InputError

WRAPPED = ("trunk", "trained")  # what open_clip's TimmModel and split_towers' Projected wrap


def of_backbone(backbone: nn.Module, name: str, rate: float, decay: float) -> dict[str, float]:
    """Learning rates for the parts of a model's `backbone` called `name`, as Stage.rates has them.

    The head has `rate` itself, the last block and what follows it rate x decay, each block below
    decay times as much as the one above, the embedding least. Empty for a decay of 1. Raises
    InputError for a tower of whose layers no order is known.
    """
    if decay == 1:
        return {}
    layers = layers_of(backbone)
    top = max(layers.values()) + 1
    parts = _shortest_names(layers).items()
    return {f"{name}.{part}": rate * decay ** (top - layer) for part, layer in parts}


def layers_of(tower: nn.Module) -> dict[str, int]:
    """The layer of each parameter by its name: 0 for the embedding, then one number a block.

    What follows the last block counts with it. timm numbers the layers of all its models, but only
    those of classes that encoders/activations/towers.py does not know are left to it: it takes
    register tokens and a norm before the blocks for the top.
    """
    for name in WRAPPED:
        if isinstance(inner := getattr(tower, name, None), nn.Module):
            layers = {f"{name}.{key}": layer for key, layer in layers_of(inner).items()}
            top = max(layers.values())
            return {key: layers.get(key, top) for key, _ in tower.named_parameters()}
    if isinstance(tower, split_towers.Trained):
        return _by_blocks(tower, tower.blocks, ())
    if towers.class_name(tower) in towers.KINDS:
        parts = towers.parts(tower)
        return _by_blocks(tower, parts.blocks, parts.before)
    if hasattr(tower, "group_matcher"):
        from timm.models import group_parameters

        return group_parameters(tower, tower.group_matcher(coarse=False), reverse=True)
    problem = "no order of its layers is known"
    remedy = "Set the method's layer_decay to 1, or choose an encoder of timm or open_clip"
    raise InputError(towers.class_name(tower), problem, remedy)


def _by_blocks(tower: nn.Module, blocks, before: tuple[str, ...]) -> dict[str, int]:
    number = {id(p): i for i, block in enumerate(blocks, 1) for p in block.parameters()}
    return {
        name: 0 if name.split(".")[0] in before else number.get(id(parameter), len(blocks))
        for name, parameter in tower.named_parameters()
    }


def _shortest_names(layers: dict[str, int]) -> dict[str, int]:
    """The layers by the shortest names all of whose parameters are of one layer."""
    inside = defaultdict(set)
    for name, layer in layers.items():
        for prefix in _prefixes(name):
            inside[prefix].add(layer)
    return {
        next(prefix for prefix in _prefixes(name) if len(inside[prefix]) == 1): layer
        for name, layer in layers.items()
    }


def _prefixes(name: str) -> list[str]:
    """a, a.b and a.b.c of the name a.b.c."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
