"""The training loop of every method of both papers: fit a stage, predict with it."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from histopair import jobs
from histopair.errors import InputError
from histopair.images.prefetch import ahead
from histopair.jobs import devices
from histopair.training import checkpoint, lora, optimizers, parallel, tensorboard
from histopair.training.checkpoint import Progress

# The keys of a method's or an encoder's config that set its training.
SETTINGS = ("epochs", "batch_size", "accumulate", "learning_rate", "optimizer", "weight_decay")
SETTINGS += ("clip", "schedule", "precision", "patience", "least_steps")
CHECKPOINT_EVERY = 60.0  # seconds between checkpoints: short runs write none
REMEDY = "Lower the method's learning_rate or set precision to float32"


@dataclass
class Stage:
    """What the loop trains: a model, its samples and its loss.

    fetch(rows) gives a batch on the device for row numbers. With `turns` > 1, augmented versions of
    each sample, it is fetch(rows, turns) with the number of each row's turn: drawn in training, 0
    in evaluation and prediction. loss(model, batch) gives named scalars, means over the batch:
    "loss" is minimised and "task" chooses the best epoch on `val`. scores(model, batch) gives
    class probabilities (n, C) from what there is at inference.

    rates: learning rates of submodules by name, such as {"head": 1e-4}; the longest name that fits
    counts, and the rest learns with `learning_rate`. accumulate: a batch passes in so many parts,
    of two samples at least, whose gradients add up to the whole batch's. patience: training ends
    after so many epochs without a better one on `val`; 0 for never. With the schedule "plateau"
    it goes on from the best epoch at 0.3 of the learning rate, and ends at the fifth time, or at
    the third in a row without a better epoch. least_steps: an epoch of fewer steps passes its
    samples several times, or patience would end a training on ten samples after as many steps.
    whole: the loss compares a batch's samples with each
    other, so no batch is cut, and each process passes all of it.
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
    least_steps: int = 1
    turns: int = 1
    whole: bool = False
    history: list[dict] = field(default_factory=list)


def fit(stage: Stage, seed: int, resume: str, device: torch.device, events: str = "") -> None:
    """Train to the last epoch and leave the model with the weights of its best on validation.

    Several processes (parallel.py) share every batch, in training, evaluation and prediction.
    `events` is a folder for TensorBoard, or "" for none.

    Randomness comes from (seed, stage, epoch) alone: a run resumed from a checkpoint in folder
    `resume`, even from within an epoch, ends with the same bits as one that was never stopped (on
    a CPU). Raises InputError for a loss or a gradient that is not finite, for float16 without a
    GPU, and for whole batches in parts; ValueError for a name in `rates` that fits no trainable
    parameter.
    """
    _require_whole_batches(stage)
    file = Path(resume) / f"{stage.name}.pt"
    stage.model = parallel.prepared(stage.model)
    if not stage.epochs:
        return  # an optimizer, which loads torch's compiler, would take longer than a probe
    now = Progress(optimizers.of_stage(stage), optimizers.scaler(stage, device))
    checkpoint.load(file, stage, now, device)
    loss = parallel.averaged(stage.model, stage.loss)
    show = tensorboard.writer(events, stage.name, stage.history)
    epochs = range(len(stage.history), stage.epochs)
    for epoch in jobs.progress(epochs, len(epochs), "epochs", f"{stage.name} stage"):
        if _finished(stage):
            print(f"{stage.name} stage: ended after {epoch} epochs, patience is out", flush=True)
            break
        train, steps = _train_epoch(stage, loss, now, seed, file, device)
        val = evaluate(stage, stage.val, device)
        _require_finite(val["task"], "the loss", stage, "validation")
        stage.history.append(_row(stage, epoch, steps, now, train, val))
        show(stage.history[-1])
        if val["task"] < now.best["loss"]:
            now.best = dict(loss=val["task"], epoch=epoch, weights=checkpoint.weights(stage.model))
        elif stage.schedule == "plateau" and _stalls(stage) > _stalls(stage, epoch):
            stage.model.load_state_dict(now.best["weights"], strict=False)
        _save_if_due(file, stage, now, device)
    # Every process must draw the same numbers for what is built next.
    devices.set_random_state(parallel.gathered(devices.random_state(device))[0], device)
    stage.model.load_state_dict(now.best["weights"], strict=False)


def evaluate(stage: Stage, rows: Tensor, device: torch.device) -> dict[str, float]:
    """Mean of each named loss over `rows`, in evaluation mode."""
    stage.model.eval()
    sums: dict[str, float] = {}
    batches = _samples(stage, rows).split(stage.batch_size)
    shares = [parallel.share(batch, stage.whole) for batch in batches]
    stream = _fetched(stage, [part for part, _ in shares], device)
    with torch.inference_mode(), _autocast(stage, device):
        for whole, (_, weight), batch in zip(batches, shares, stream, strict=True):
            for name, value in stage.loss(stage.model, batch).items():
                sums[name] = sums.get(name, 0.0) + float(value) * weight * len(whole)
    return {name: value / len(rows) for name, value in parallel.totals(sums).items()}


def predict(stage: Stage, rows: Tensor, device: torch.device) -> Tensor:
    """The stage's scores for `rows`, in their order and in their type: (n, C) on the CPU."""
    stage.model.eval()
    places = [parallel.share(part)[0] for part in torch.arange(len(rows)).split(stage.batch_size)]
    stream = _fetched(stage, [_samples(stage, rows[place]) for place in places], device)
    with torch.inference_mode(), _autocast(stage, device):
        scores = [stage.scores(stage.model, batch).cpu() for batch in stream]
    return parallel.in_order(torch.cat(scores), torch.cat(places), len(rows))


def _train_epoch(
    stage: Stage, loss, now: Progress, seed: int, file: Path, device: torch.device
) -> tuple[dict[str, float], int]:
    """One epoch, or what is left of it: the mean of each named loss, and its steps."""
    stage.model.train()
    batches = _drawn(stage, now, seed, device)
    pieces = [_pieces(stage, batch) for batch in batches]
    stream = _fetched(stage, [part for step in pieces[now.step :] for part, _ in step], device)
    stalls, _ = _stalls(stage)
    while now.step < len(batches):
        done = (len(stage.history) + now.step / len(batches)) / stage.epochs
        optimizers.set_learning_rates(now.optimizer, stage.schedule, done, stalls)
        weights = [weight for _, weight in pieces[now.step]]
        losses = _backward(stage, loss, weights, stream, now, device)
        _require_finite(losses["loss"], "the loss", stage, f"step {now.step}")
        if not stage.history and not now.step:
            lora.require_gradients(stage.model)
        _step(stage, now)
        for name, value in losses.items():
            now.sums[name] = now.sums.get(name, 0.0) + value * len(batches[now.step])
        now.step += 1
        _save_if_due(file, stage, now, device)
    parallel.share_buffers(stage.model)
    passed = sum(map(len, batches))
    means = {name: value / passed for name, value in now.sums.items()}
    now.step, now.sums = 0, {}
    return means, len(batches)


def _drawn(stage: Stage, now: Progress, seed: int, device: torch.device) -> list[Tensor]:
    """The epoch's batches; random numbers are left as they are before the next step."""
    resumed = devices.random_state(device)
    seed = devices.seed_of(seed, stage.name, len(stage.history))
    torch.manual_seed(seed)
    batches: list[Tensor] = []
    while len(batches) < stage.least_steps:
        order = stage.train[torch.randperm(len(stage.train))]
        batches += _batches(_samples(stage, order, draw=True), stage.batch_size)
    if now.step:
        devices.set_random_state(resumed, device)
    elif parallel.rank() and not stage.whole:
        torch.manual_seed(devices.seed_of(seed, parallel.rank()))
    return batches


def _backward(
    stage: Stage, loss, weights: list[float], stream, now: Progress, device: torch.device
) -> dict[str, float]:
    """Give the weights the gradient of a batch that passes in parts: the mean of each loss."""
    losses: dict[str, float] = {}
    for part, weight in enumerate(weights, start=1):
        with parallel.exchanging(loss, last=part == len(weights)):
            with _autocast(stage, device):
                values = loss(next(stream))
            # The processes' gradients are averaged, and shares add up to a batch by their weights.
            now.scaler.scale(values["loss"] * weight * parallel.count()).backward()
        for name, value in values.items():
            losses[name] = losses.get(name, 0.0) + value.item() * weight
    return parallel.totals(losses)


def _step(stage: Stage, now: Progress) -> None:
    """Move the weights along the accumulated gradients, and clear these."""
    parameters = [p for p in stage.model.parameters() if p.requires_grad]
    now.scaler.unscale_(now.optimizer)
    norm = nn.utils.clip_grad_norm_(parameters, stage.clip).item()
    # A scaler meets an overflow by a lower scale and skips the step; below 1 it is not its fault.
    if not now.scaler.is_enabled() or now.scaler.get_scale() < 1:
        _require_finite(norm, "the gradient's norm", stage, f"step {now.step}")
    now.scaler.step(now.optimizer)
    now.scaler.update()
    now.optimizer.zero_grad()


def _stalls(stage: Stage, epochs: int | None = None) -> tuple[int, int]:
    """`optimizers.stalls` of validation so far, or in the first `epochs`."""
    return optimizers.stalls((row["val_task"] for row in stage.history[:epochs]), stage.patience)


def _finished(stage: Stage) -> bool:
    """Whether patience is out: at the first stall, or after the last drop or two useless ones."""
    total, in_a_row = _stalls(stage)
    if stage.schedule != "plateau":
        return total > 0
    return total > optimizers.DROPS or in_a_row >= optimizers.IN_A_ROW


def _samples(stage: Stage, rows: Tensor, draw: bool = False) -> Tensor:
    """The arguments of fetch as columns: rows (n,) and, if there are several turns, each row's."""
    if stage.turns == 1:
        return rows[:, None]
    turns = torch.randint(stage.turns, rows.shape) if draw else torch.zeros_like(rows)
    return torch.stack([rows, turns], dim=1)


def _fetched(stage: Stage, parts, device: torch.device):
    return ahead(lambda part: stage.fetch(*part.unbind(1)), parts, device)


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """Batches of `size`; a last single sample joins the batch before it (batch normalisation)."""
    parts = list(order.split(size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _pieces(stage: Stage, batch: Tensor) -> list[tuple[Tensor, float]]:
    """This process's parts of a batch, and the weight of each part's mean in the batch's mean.

    Batch normalisation needs two samples in each part in every process, so that a small batch
    passes in fewer parts than asked for.
    """
    parts = min(stage.accumulate, len(batch) // (2 * parallel.count())) or 1
    pieces = batch.tensor_split(parts)
    shares = [(*parallel.share(piece, stage.whole), len(piece) / len(batch)) for piece in pieces]
    return [(part, weight * of_batch) for part, weight, of_batch in shares]


def _row(stage: Stage, epoch: int, steps: int, now: Progress, train: dict, val: dict) -> dict:
    rate = now.optimizer.param_groups[0]["lr"]
    row = {"stage": stage.name, "epoch": epoch, "steps": steps, "learning_rate": rate}
    for split, losses in (("train", train), ("val", val)):
        row |= {f"{split}_{name}": value for name, value in losses.items()}
    return row


def _require_whole_batches(stage: Stage) -> None:
    if stage.whole and stage.accumulate > 1:
        problem = "its loss compares the samples of a batch, which cannot pass in parts"
        raise InputError(f"{stage.name} stage", problem, "Set accumulate to 1")


def _require_finite(value: float, what: str, stage: Stage, where: str) -> None:
    if not math.isfinite(value):
        place = f"{stage.name} stage, epoch {len(stage.history)}, {where}"
        raise InputError(place, f"{what} is {value}", REMEDY)


def _autocast(stage: Stage, device: torch.device):
    dtype = devices.DTYPES[stage.precision]
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32)


def _save_if_due(file: Path, stage: Stage, now: Progress, device: torch.device) -> None:
    if parallel.first_says(time.monotonic() - now.saved > CHECKPOINT_EVERY):
        checkpoint.save(file, stage, now, device)
        now.saved = time.monotonic()
