"""Low-rank adapters through peft, on any tower."""

import re

import torch
from torch import Tensor, nn

from histopair.encoders import plain_attention
from histopair.encoders.activations import split_towers
from histopair.errors import InputError

TARGETS = {"all": (nn.Linear, nn.Embedding, nn.Conv2d), "no-linear": (nn.Embedding, nn.Conv2d)}


def adapt(tower: nn.Module, settings: dict | None) -> nn.Module:
    """Freeze `tower` and add trainable adapters, in place; without settings it is only frozen.

    settings: `rank`, `alpha`, `targets` and `blocks`. targets: "all" (every Linear, Embedding and
    Conv2d) or "no-linear" (CLIP-IT's search space). blocks: "all", or so many of the last, and what
    follows them. A weight W (out, in) becomes W + alpha / rank B A, where B (out, rank) and
    A (rank, in) train (Hu 2022, Section 4.1); packed projections of attention are one weight.
    Before training the tower computes what it did without. Raises InputError if it has nothing to
    adapt, or cannot be split at `blocks`.
    """
    tower.requires_grad_(False)
    if settings is None:
        return tower
    tower = plain_attention.rewritten(tower)
    _divided(tower, settings)
    return tower


def split(tower: nn.Module, settings: dict) -> tuple[nn.Module, nn.Module]:
    """The frozen blocks of a tower, and the rest of it with adapters as `adapt` adds them.

    rest(*frozen(x)) is tower(x). The parameters of both are the tower's; those of the rest have
    their names in the tower. With all blocks the rest is the tower.
    """
    tower = plain_attention.rewritten(tower)
    frozen, part = _divided(tower, settings)
    return frozen, tower if part is tower else Rest(tower, part)


class Rest(nn.Module):
    """The last blocks of a tower and what follows them, under the names that the tower has."""

    def __init__(self, tower: nn.Module, part: nn.Module):
        super().__init__()
        self.encoder_name = getattr(tower, "encoder_name", None)
        self._modules, self._parameters = tower._modules, tower._parameters
        self._buffers = tower._buffers
        self.__dict__["part"] = part  # not a child, which would give its parameters other names

    def forward(self, *states: Tensor) -> Tensor:
        return self.part(*states)


def _divided(tower: nn.Module, settings: dict) -> tuple[nn.Module, nn.Module]:
    """A tower's frozen blocks, and the part that trains, whose layers get adapters."""
    frozen, part = split_towers.split(tower, settings.get("blocks", "all"))
    tower.requires_grad_(False)
    _add_adapters(part, tower, settings)
    return frozen, part


def _add_adapters(part: nn.Module, tower: nn.Module, settings: dict) -> None:
    """Give the layers of a part adapters, in the part and in its tower."""
    from peft import LoraConfig, inject_adapter_in_model

    from histopair.training import adapters

    names = target_names(part, settings["targets"])
    if not names:
        problem = f"no layer to adapt is of targets {settings['targets']!r}"
        remedy = "Set the method's `lora.targets` (of a text tower, `text_lora.targets`) to all"
        encoder = getattr(tower, "encoder_name", type(tower).__name__)
        raise InputError(f"encoder {encoder}", problem, remedy)
    config = LoraConfig(
        r=settings["rank"],
        lora_alpha=settings["alpha"],
        lora_dropout=0.0,
        target_modules="|".join(map(re.escape, names)),  # of a list, peft matches the ends of names
    )
    config._register_custom_module(adapters.LAYERS)
    inject_adapter_in_model(config, part)
    # peft finds only one place of a layer that several share.
    layers = adapted_layers(part).values()
    everywhere = {module: layer for layer in layers for module in (layer.get_base_layer(), layer)}
    for root in (part, tower):
        plain_attention.replaced(root, everywhere.get)


def target_names(tower: nn.Module, targets: str) -> list[str]:
    """Names of the layers that `targets` stands for; grouped convolutions stay as they are."""
    kinds = TARGETS[targets]
    return [
        name
        for name, module in tower.named_modules()
        if name and isinstance(module, kinds) and getattr(module, "groups", 1) == 1
    ]


def adapted_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that have an adapter, by name."""
    return {name: m for name, m in model.named_modules() if hasattr(m, "get_delta_weight")}


@torch.no_grad()
def merge(tower: nn.Module) -> nn.Module:
    """Fold the adapters into the weights that they adapt, in place, and remove them."""
    merged = {}
    for layer in adapted_layers(tower).values():
        merged[layer] = layer.get_base_layer()
        merged[layer].weight = nn.Parameter(layer.weight, requires_grad=False)
    return plain_attention.replaced(tower, merged.get)


def require_gradients(model: nn.Module) -> None:
    """Raise InputError if an adapter's layer ran and the adapter has no gradient after it.

    Such an adapter would never train, because nothing reads what its layer gives. A layer that did
    not run has no gradient either; other inputs may need it (experts are chosen by their input).
    """
    names = {name: getattr(m, "encoder_name", None) for name, m in model.named_modules()}
    towers = {place: name for place, name in names.items() if isinstance(name, str)}
    for name, layer in adapted_layers(model).items():
        tensors = [p for p in layer.parameters() if p.requires_grad]
        if layer.ran and all(p.grad is None for p in tensors):
            inside = [tower for tower in towers if not tower or name.startswith(f"{tower}.")]
            encoder = towers[max(inside, key=len)] if inside else type(model).__name__
            raise InputError(
                f"encoder {encoder}",
                f"the adapter of its layer {name!r} gets no gradient, and would never train",
                "Set the method's `lora` (of a text tower, `text_lora`) to null, or choose "
                "another encoder",
            )
