"""The training loop of every method of both papers: fit a stage, predict with it."""

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from histopair import devices, jobs
from histopair.errors import InputError
from histopair.prefetch import ahead

# What a method's or an encoder's config may say about its training.
SETTINGS = (
    "epochs",
    "batch_size",
    "learning_rate",
    "optimizer",
    "weight_decay",
    "clip",
    "schedule",
    "precision",
)
CHECKPOINT_EVERY = 60.0  # seconds between checkpoints: short runs write none


@dataclass
class Stage:
    """What the loop trains: a model, its samples and its loss.

    fetch(rows) gives a batch on the device for row numbers, with those `rows` in it; loss(model,
    batch) gives named scalars of which "loss" is minimised and "task" chooses the best epoch on
    `val`; scores(model, batch) gives class probabilities (n, C) from what is known at inference.
    """

    name: str
    model: nn.Module
    train: Tensor
    val: Tensor
    fetch: Callable[[Tensor], dict]
    loss: Callable[[nn.Module, dict], dict[str, Tensor]]
    epochs: int
    batch_size: int
    learning_rate: float
    scores: Callable[[nn.Module, dict], Tensor] | None = None
    optimizer: str = "adam"
    weight_decay: float = 0.0
    clip: float = math.inf
    schedule: str = "constant"
    precision: str = "float32"
    history: list[dict] = field(default_factory=list)


def fit(stage: Stage, seed: int, resume: str, device: torch.device) -> None:
    """Train to the last epoch and leave the model with the weights of its best on validation.

    Randomness comes from (seed, stage, epoch) alone: a run resumed from the checkpoint in folder
    `resume` ends with the same bits as one that was never stopped. Raises InputError when the loss
    is not finite.
    """
    optimizer = _optimizer(stage)
    file = Path(resume) / f"{stage.name}.pt"
    best = _load(file, stage, optimizer) or {"loss": math.inf, "epoch": -1, "weights": {}}
    saved = time.monotonic()
    epochs = range(len(stage.history), stage.epochs)
    for epoch in jobs.progress(epochs, len(epochs), "epochs", f"{stage.name} stage"):
        train = _train_epoch(stage, optimizer, devices.seed_of(seed, stage.name, epoch), device)
        val = evaluate(stage, stage.val, device)
        _require_finite(val["task"], stage)
        stage.history.append(_row(stage, epoch, train, val))
        if val["task"] < best["loss"]:
            best = {"loss": val["task"], "epoch": epoch, "weights": _weights(stage.model)}
        if time.monotonic() - saved > CHECKPOINT_EVERY:
            _save(file, stage, optimizer, best)
            saved = time.monotonic()
    stage.model.load_state_dict(best["weights"], strict=False)


def evaluate(stage: Stage, rows: Tensor, device: torch.device) -> dict[str, float]:
    """Mean of each named loss over `rows`, in evaluation mode."""
    stage.model.eval()
    sums: dict[str, float] = {}
    with torch.inference_mode(), _autocast(stage, device):
        for batch in ahead(stage.fetch, rows.split(stage.batch_size), device):
            for name, value in stage.loss(stage.model, batch).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(batch["rows"])
    return {name: value / len(rows) for name, value in sums.items()}


def predict(stage: Stage, rows: Tensor, device: torch.device) -> Tensor:
    """The stage's scores for `rows`, in their order: (n, C) float32 on the CPU."""
    stage.model.eval()
    with torch.inference_mode(), _autocast(stage, device):
        batches = ahead(stage.fetch, rows.split(stage.batch_size), device)
        return torch.cat([stage.scores(stage.model, batch).float().cpu() for batch in batches])


def learning_rate_factor(schedule: str, progress: float, warmup: float = 0.05) -> float:
    """Share of the learning rate in use at `progress`, from 0 at the first step to 1 at the end.

    "constant", or "cosine": a linear rise over the first `warmup`, then half a cosine down to 0.
    """
    if schedule == "constant":
        return 1.0
    if progress < warmup:
        return (progress + 1e-3) / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def _train_epoch(stage: Stage, optimizer, seed: int, device: torch.device) -> dict[str, float]:
    torch.manual_seed(seed)
    stage.model.train()
    order = stage.train[torch.randperm(len(stage.train))]
    parts = _batches(order, stage.batch_size)
    sums: dict[str, float] = {}
    for step, batch in enumerate(ahead(stage.fetch, parts, device)):
        done = (len(stage.history) + step / len(parts)) / stage.epochs
        for group in optimizer.param_groups:
            group["lr"] = stage.learning_rate * learning_rate_factor(stage.schedule, done)
        with _autocast(stage, device):
            losses = stage.loss(stage.model, batch)
        _require_finite(losses["loss"].item(), stage)
        optimizer.zero_grad()
        losses["loss"].backward()
        nn.utils.clip_grad_norm_(_parameters(stage.model), stage.clip)
        optimizer.step()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value.item() * len(batch["rows"])
    return {name: value / len(order) for name, value in sums.items()}


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """Batches of `size`; a last single sample joins the batch before it (batch normalisation)."""
    parts = list(order.split(size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _optimizer(stage: Stage) -> torch.optim.Optimizer:
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    return kinds[stage.optimizer](
        _parameters(stage.model), lr=stage.learning_rate, weight_decay=stage.weight_decay
    )


def _parameters(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """What training changes: trainable parameters and all buffers (batch statistics)."""
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    trained |= {name for name, _ in model.named_buffers()}
    return {k: v.detach().clone() for k, v in model.state_dict().items() if k in trained}


def _row(stage: Stage, epoch: int, train: dict, val: dict) -> dict:
    row = {"stage": stage.name, "epoch": epoch}
    for split, losses in (("train", train), ("val", val)):
        row |= {f"{split}_{name}": value for name, value in losses.items()}
    return row


def _require_finite(loss: float, stage: Stage) -> None:
    if not math.isfinite(loss):
        raise InputError(
            f"{stage.name} stage, epoch {len(stage.history)}",
            f"the loss is {loss}",
            "Lower the method's learning_rate or set precision to float32",
        )


def _autocast(stage: Stage, device: torch.device):
    dtype = devices.DTYPES[stage.precision]
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32)


def _save(file: Path, stage: Stage, optimizer, best: dict) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "weights": _weights(stage.model),
        "optimizer": optimizer.state_dict(),
        "history": copy.deepcopy(stage.history),
        "best": best,
    }
    torch.save(state, file.with_suffix(".partial"))
    os.replace(file.with_suffix(".partial"), file)


def _load(file: Path, stage: Stage, optimizer) -> dict | None:
    if not file.is_file():
        return None
    state = torch.load(file, weights_only=True)
    stage.model.load_state_dict(state["weights"], strict=False)
    optimizer.load_state_dict(state["optimizer"])
    stage.history[:] = state["history"]
    print(f"{stage.name} stage: resumed after epoch {len(stage.history)}", flush=True)
    return state["best"]
