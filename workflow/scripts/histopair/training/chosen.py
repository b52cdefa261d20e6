"""Of several models that are ready, the one that validation likes best."""

from collections.abc import Callable, Iterable

import numpy as np
from torch import Tensor, nn

from histopair.errors import InputError
from histopair.training import loop


def stage(
    run,
    candidates: Iterable[tuple[nn.Module, dict]],
    fetch: Callable[[Tensor], tuple],
    worse: int | None = None,
) -> loop.Stage:
    """A main stage without epochs that predicts with the best of the candidates.

    candidates: models from what fetch(rows) gives to logits (n, C), each with what its row of the
    history shall say of it. No more are asked for after `worse` in a row that are not the best.
    """
    best, rows = None, []
    for model, facts in candidates:
        row = _judged(run, model.to(run.device).eval(), fetch) | facts
        rows.append(row["val_task"])
        if best is None or row["val_task"] < best[1]["val_task"]:
            best = model, row
        if worse and len(rows) - 1 - int(np.argmin(rows)) == worse:
            break
    model, row = best
    chosen = run.classifier(model, fetch, epochs=0)
    chosen.history = [{"stage": "main", "epoch": 0} | row]
    return chosen


def require_exclusive(run) -> None:
    """Raise InputError for a dataset whose samples do not have one class each."""
    if not run.task.EXCLUSIVE:
        problem = f"{run.method['recipe']} needs one class per image"
        raise InputError(run.artifacts["labels"], problem, "Choose a single-label dataset")


def _judged(run, model: nn.Module, fetch: Callable) -> dict:
    """Losses on both splits."""
    row = {}
    for split in ("train", "val"):
        rows = run.rows(split)
        batch = {"targets": run.targets[rows.to(run.targets.device)]}
        loss = run.task_loss(model(*fetch(rows)), batch).item()
        row |= {f"{split}_loss": loss, f"{split}_task": loss}
    return row
