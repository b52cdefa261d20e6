"""What moves a stage's weights: optimiser, learning rates, loss scale."""

import math
from collections.abc import Iterable

import torch

from histopair.errors import InputError

KINDS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
DROP, DROPS = 0.3, 4  # of the schedule "plateau"
IN_A_ROW = 3  # stalls without a better epoch between them: two drops in vain


def of_stage(stage) -> torch.optim.Optimizer:
    """An optimiser of the stage's trainable parameters, in groups by their learning rate.

    Raises ValueError if a name in the stage's `rates` fits no trainable parameter.
    """
    rates = {"": stage.learning_rate} | stage.rates
    members: dict[str, list] = {name: [] for name in rates}
    for name, parameter in stage.model.named_parameters():
        if parameter.requires_grad:
            fitting = [part for part in rates if not part or f"{name}.".startswith(f"{part}.")]
            members[max(fitting, key=len)].append(parameter)
    if unused := [name for name in stage.rates if not members[name]]:
        raise ValueError(f"{stage.name} stage: no trainable parameter is of {unused}")
    groups = [
        {"params": parameters, "lr": rates[name], "initial_lr": rates[name]}
        for name, parameters in members.items()
        if parameters
    ]
    # Fused: one pass over memory instead of several, a quarter of the time on a CPU.
    return KINDS[stage.optimizer](groups, weight_decay=stage.weight_decay, fused=True)


def set_learning_rates(
    optimizer: torch.optim.Optimizer, schedule: str, progress: float, stalls: int
) -> None:
    """Give each group its share of its own learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * learning_rate_factor(schedule, progress, stalls)


def learning_rate_factor(
    schedule: str, progress: float, stalls: int = 0, warmup: float = 0.05
) -> float:
    """The share of the learning rate that is used now.

    schedule: "constant"; "plateau", 0.3 of it after each of `stalls`; or "cosine", by `progress`
    from 0 at the first step to 1 at the end: a linear rise over the first `warmup`, then half a
    cosine down to 0.
    """
    if schedule == "constant":
        return 1.0
    if schedule == "plateau":
        return DROP**stalls
    if progress < warmup:
        return (progress + 1e-3) / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def stalls(losses: Iterable[float], patience: int) -> tuple[int, int]:
    """How often validation went `patience` epochs without a better loss: in all, since the best.

    `losses`: one an epoch. After each stall the count starts again. (0, 0) if patience is 0.
    """
    total, in_a_row, best, waited = 0, 0, math.inf, 0
    for loss in losses:
        if loss < best:
            best, waited, in_a_row = loss, 0, 0
        else:
            waited += 1
        if waited == patience:
            total, in_a_row, waited = total + 1, in_a_row + 1, 0
    return (total, in_a_row) if patience else (0, 0)


def scaler(stage, device: torch.device) -> torch.amp.GradScaler:
    """Keeps small gradients from vanishing in float16; does nothing in other types.

    Raises InputError for float16 without a GPU.
    """
    half = stage.precision == "float16"
    if half and device.type != "cuda":
        problem = "training in float16 needs a GPU, and there is none"
        raise InputError(f"{stage.name} stage", problem, "Set precision to bfloat16 or float32")
    return torch.amp.GradScaler(device.type, enabled=half)
