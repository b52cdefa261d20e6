"""Low-rank adapters through peft, on any tower."""

import torch
from torch import nn

# peft merges what it wraps into an attention module as a whole: its inner projection is no target.
TARGETS = {
    "all": (nn.Linear, nn.Embedding, nn.Conv2d, nn.MultiheadAttention),
    "no-linear": (nn.Embedding, nn.Conv2d),
}


def adapt(tower: nn.Module, settings: dict | None) -> nn.Module:
    """Freeze `tower` and add trainable adapters, in place; without settings it is only frozen.

    settings: `rank`, `alpha` (the update is scaled by alpha / rank) and `targets`: "all" (every
    Linear, Embedding and Conv2d) or "no-linear" (CLIP-IT's search space). At the start the tower
    computes what it did before. Raises ValueError if nothing can be adapted.
    """
    tower.requires_grad_(False)
    if settings is None:
        return tower
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora.layer import MultiheadAttention

    names = target_names(tower, settings["targets"])
    if not names:
        raise ValueError(f"LoRA targets {settings['targets']!r}: the tower has no such layer")
    config = LoraConfig(
        r=settings["rank"],
        lora_alpha=settings["alpha"],
        lora_dropout=0.0,
        target_modules=names,
    )
    adapted = inject_adapter_in_model(config, tower)
    for layer in adapted.modules():
        if isinstance(layer, MultiheadAttention):
            _freeze_exactly(layer)
    return adapted


def _freeze_exactly(layer: nn.Module) -> None:
    """Keep the frozen weights of an adapted attention module to the last bit.

    In each forward pass peft adds the update to them and subtracts it again, which rounds: they
    would drift with the number of passes, and a resumed run would differ from one never stopped.
    """
    attention = layer.get_base_layer()
    places = [(attention, "in_proj_weight"), (attention.out_proj.get_base_layer(), "weight")]
    kept: list[nn.Parameter | None] = []

    def keep(*_):
        kept[:] = [owner._parameters.get(name) for owner, name in places]

    def put_back(*_):
        for (owner, name), weight in zip(places, kept, strict=True):
            if weight is not None:
                delattr(owner, name)
                owner.register_parameter(name, weight)

    layer.register_forward_pre_hook(keep)
    layer.register_forward_hook(put_back)


def target_names(tower: nn.Module, targets: str) -> list[str]:
    """Names of the layers that `targets` means; grouped convolutions are left as they are."""
    kinds = TARGETS[targets]
    names, inside = [], ()
    for name, module in tower.named_modules():
        if not name or (inside and name.startswith(inside)):
            continue
        if isinstance(module, nn.MultiheadAttention):
            inside = (*inside, f"{name}.")
        if isinstance(module, kinds) and getattr(module, "groups", 1) == 1:
            names.append(name)
    return names


def merge(tower: nn.Module) -> nn.Module:
    """Fold the adapters into the weights they adapt, in place: no trace of them is left."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = [name for name, m in tower.named_modules() if isinstance(m, BaseTunerLayer)]
    for name in adapted:
        if any(name.startswith(f"{other}.") for other in adapted):
            continue  # inside an attention module, which is unloaded as a whole
        parent, _, child = name.rpartition(".")
        layer = tower.get_submodule(name)
        setattr(tower.get_submodule(parent), child, _merged(layer))
    return tower


def _merged(layer: nn.Module) -> nn.Module:
    if hasattr(layer, "unload_and_optionally_merge_module"):
        return layer.unload_and_optionally_merge_module(True, False, None)
    layer.merge()
    return layer.get_base_layer()


def trainable(module: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a module that training changes, by name."""
    return {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
