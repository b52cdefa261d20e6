"""The training loop of every method of both papers: fit a stage, predict with it."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from histopair import checkpoint, devices, jobs
from histopair.checkpoint import Progress
from histopair.errors import InputError
from histopair.prefetch import ahead

# What a method's or an encoder's config may say about its training.
SETTINGS = (
    "epochs",
    "batch_size",
    "accumulate",
    "learning_rate",
    "optimizer",
    "weight_decay",
    "clip",
    "schedule",
    "precision",
    "patience",
)
CHECKPOINT_EVERY = 60.0  # seconds between checkpoints: short runs write none
REMEDY = "Lower the method's learning_rate or set precision to float32"


@dataclass
class Stage:
    """What the loop trains: a model, its samples and its loss.

    fetch(rows) gives a batch on the device for row numbers; with `views` > 1, augmented versions of
    each sample, it is fetch(rows, views) with the number of each row's view: drawn in training, 0
    in evaluation and prediction. loss(model, batch) gives named scalars, means over the batch, of
    which "loss" is minimised and "task" chooses the best epoch on `val`; scores(model, batch) gives
    class probabilities (n, C) from what is known at inference.

    rates: learning rates of submodules by name, such as {"head": 1e-4}; the longest name that fits
    counts, and all else learns with `learning_rate`. accumulate: a batch passes in that many parts,
    whose gradients add up to the whole batch's. patience: training ends after that many epochs
    without a better one on `val`; 0 for never.
    """

    name: str
    model: nn.Module
    train: Tensor
    val: Tensor
    fetch: Callable[..., dict]
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
    rates: dict[str, float] = field(default_factory=dict)
    accumulate: int = 1
    patience: int = 0
    views: int = 1
    history: list[dict] = field(default_factory=list)


def fit(stage: Stage, seed: int, resume: str, device: torch.device) -> None:
    """Train to the last epoch and leave the model with the weights of its best on validation.

    Randomness comes from (seed, stage, epoch) alone: a run resumed from the checkpoint in folder
    `resume`, made in mid-epoch or between two, ends with the same bits as one that was never
    stopped (on a CPU). Raises InputError when a loss or a gradient is not finite, and for float16
    without a GPU; ValueError when a name in `rates` fits no trainable parameter.
    """
    file = Path(resume) / f"{stage.name}.pt"
    now = Progress(_optimizer(stage), _scaler(stage, device))
    checkpoint.load(file, stage, now)
    epochs = range(len(stage.history), stage.epochs)
    for epoch in jobs.progress(epochs, len(epochs), "epochs", f"{stage.name} stage"):
        if stage.patience and epoch - now.best["epoch"] > stage.patience:
            print(f"{stage.name} stage: no better epoch in {stage.patience}, stopped", flush=True)
            break
        train = _train_epoch(stage, now, devices.seed_of(seed, stage.name, epoch), file, device)
        val = evaluate(stage, stage.val, device)
        _require_finite(val["task"], "the loss", stage, "validation")
        stage.history.append(_row(stage, epoch, now, train, val))
        if val["task"] < now.best["loss"]:
            weights = checkpoint.weights(stage.model)
            now.best = {"loss": val["task"], "epoch": epoch, "weights": weights}
        _save_if_due(file, stage, now)
    stage.model.load_state_dict(now.best["weights"], strict=False)


def evaluate(stage: Stage, rows: Tensor, device: torch.device) -> dict[str, float]:
    """Mean of each named loss over `rows`, in evaluation mode."""
    stage.model.eval()
    sums: dict[str, float] = {}
    parts = _samples(stage, rows).split(stage.batch_size)
    with torch.inference_mode(), _autocast(stage, device):
        for part, batch in zip(parts, _fetched(stage, parts, device), strict=True):
            for name, value in stage.loss(stage.model, batch).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(part)
    return {name: value / len(rows) for name, value in sums.items()}


def predict(stage: Stage, rows: Tensor, device: torch.device) -> Tensor:
    """The stage's scores for `rows`, in their order: (n, C) float32 on the CPU."""
    stage.model.eval()
    parts = _samples(stage, rows).split(stage.batch_size)
    with torch.inference_mode(), _autocast(stage, device):
        batches = _fetched(stage, parts, device)
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


def _train_epoch(
    stage: Stage, now: Progress, seed: int, file: Path, device: torch.device
) -> dict[str, float]:
    """One epoch, or what is left of it; the mean of each named loss."""
    stage.model.train()
    left = torch.get_rng_state()
    torch.manual_seed(seed)
    order = stage.train[torch.randperm(len(stage.train))]
    steps = _batches(_samples(stage, order, draw=True), stage.batch_size)
    if now.step:
        torch.set_rng_state(left)
    pieces = [_pieces(batch, stage.accumulate) for batch in steps]
    stream = _fetched(stage, [piece for step in pieces[now.step :] for piece in step], device)
    for batch, parts in zip(steps[now.step :], pieces[now.step :], strict=True):
        done = (len(stage.history) + now.step / len(steps)) / stage.epochs
        for group in now.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * learning_rate_factor(stage.schedule, done)
        losses: dict[str, float] = {}
        for part in parts:
            weight = len(part) / len(batch)
            with _autocast(stage, device):
                values = stage.loss(stage.model, next(stream))
            now.scaler.scale(values["loss"] * weight).backward()
            for name, value in values.items():
                losses[name] = losses.get(name, 0.0) + value.item() * weight
        _require_finite(losses["loss"], "the loss", stage, f"step {now.step}")
        _step(stage, now)
        for name, value in losses.items():
            now.sums[name] = now.sums.get(name, 0.0) + value * len(batch)
        now.step += 1
        _save_if_due(file, stage, now)
    means = {name: value / len(order) for name, value in now.sums.items()}
    now.step, now.sums = 0, {}
    return means


def _step(stage: Stage, now: Progress) -> None:
    """Move the weights along the gradients that have been added up, and clear these."""
    now.scaler.unscale_(now.optimizer)
    norm = nn.utils.clip_grad_norm_(_parameters(stage.model), stage.clip).item()
    # A scaler finds its scale by overflows: their steps are left out, until none is left to lower.
    if not now.scaler.is_enabled() or now.scaler.get_scale() < 1:
        _require_finite(norm, "the gradient's norm", stage, f"step {now.step}")
    now.scaler.step(now.optimizer)
    now.scaler.update()
    now.optimizer.zero_grad()


def _samples(stage: Stage, rows: Tensor, draw: bool = False) -> Tensor:
    """What fetch is asked for, a column each: rows (n,) and, if there are several, their views."""
    if stage.views == 1:
        return rows[:, None]
    views = torch.randint(stage.views, rows.shape) if draw else torch.zeros_like(rows)
    return torch.stack([rows, views], dim=1)


def _fetched(stage: Stage, parts, device: torch.device):
    return ahead(lambda part: stage.fetch(*part.unbind(1)), parts, device)


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """Batches of `size`; a last single sample joins the batch before it (batch normalisation)."""
    parts = list(order.split(size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _pieces(batch: Tensor, count: int) -> list[Tensor]:
    return [piece for piece in batch.tensor_split(count) if len(piece)]


def _optimizer(stage: Stage) -> torch.optim.Optimizer:
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    return kinds[stage.optimizer](_groups(stage), weight_decay=stage.weight_decay)


def _groups(stage: Stage) -> list[dict]:
    """Trainable parameters by their learning rate."""
    rates = {"": stage.learning_rate} | stage.rates
    groups: dict[str, list] = {name: [] for name in rates}
    for name, parameter in stage.model.named_parameters():
        if parameter.requires_grad:
            fitting = [own for own in rates if not own or f"{name}.".startswith(f"{own}.")]
            groups[max(fitting, key=len)].append(parameter)
    if unused := [name for name in stage.rates if not groups[name]]:
        raise ValueError(f"{stage.name} stage: no trainable parameter is of {unused}")
    return [
        {"params": found, "lr": rates[name], "initial_lr": rates[name]}
        for name, found in groups.items()
        if found
    ]


def _parameters(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def _row(stage: Stage, epoch: int, now: Progress, train: dict, val: dict) -> dict:
    rate = now.optimizer.param_groups[0]["lr"]
    row = {"stage": stage.name, "epoch": epoch, "learning_rate": rate}
    for split, losses in (("train", train), ("val", val)):
        row |= {f"{split}_{name}": value for name, value in losses.items()}
    return row


def _require_finite(value: float, what: str, stage: Stage, where: str) -> None:
    if not math.isfinite(value):
        place = f"{stage.name} stage, epoch {len(stage.history)}, {where}"
        raise InputError(place, f"{what} is {value}", REMEDY)


def _autocast(stage: Stage, device: torch.device):
    dtype = devices.DTYPES[stage.precision]
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32)


def _scaler(stage: Stage, device: torch.device) -> torch.amp.GradScaler:
    half = stage.precision == "float16"
    if half and device.type != "cuda":
        problem = "training in float16 needs a GPU, and there is none"
        raise InputError(f"{stage.name} stage", problem, "Set precision to bfloat16 or float32")
    return torch.amp.GradScaler(device.type, enabled=half)


def _save_if_due(file: Path, stage: Stage, now: Progress) -> None:
    if time.monotonic() - now.saved > CHECKPOINT_EVERY:
        checkpoint.save(file, stage, now)
        now.saved = time.monotonic()
