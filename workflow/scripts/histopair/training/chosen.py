"""Of several models that are ready, the one that validation likes best."""

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor, nn

from histopair.training import loop

FALL = 0.01  # of the first loss; a smaller one may be chance, with a better model far behind it


def stage(
    run,
    candidates: Iterable[tuple[nn.Module, dict]],
    fetch: Callable[[Tensor], tuple],
    edges: Mapping[str, tuple],
    worse: int | None = None,
    plain: bool = False,
) -> loop.Stage:
    """A main stage without epochs that predicts with the best of the candidates.

    candidates: models from what fetch(rows) gives to logits (n, C), each with what its row of the
    history shall say of it. No more are asked for after `worse` in a row that are not the best, if
    the best is more than FALL below the first.
    edges: of some of these facts the values at which the search ends, though what lies beyond might
    be better. The history's `at_edge` and the log name facts of the best that are such a value.
    plain: judge by the task's plain loss, to which candidates are fitted, not by the method's.
    """
    splits = {name: _inputs(run, name, fetch) for name in ("train", "val")}
    best, first, since = None, None, 0
    for model, facts in candidates:
        row = _judged(run, model.to(run.device).eval(), splits, plain) | facts
        loss = row["val_task"]
        if best is None or loss < best[1]["val_task"]:
            best, first, since = (model, row), first or loss, 0
        else:
            since += 1
        if worse and since >= worse and best[1]["val_task"] < (1 - FALL) * first:
            break
    model, row = best
    chosen = run.classifier(model, fetch, epochs=0)
    chosen.history = [{"stage": "main", "epoch": 0} | row | {"at_edge": _at_edge(row, edges)}]
    return chosen


def _at_edge(row: dict, edges: Mapping[str, tuple]) -> str:
    """The names of the facts at which the search ends, also told in the log; "" for none."""
    names = [name for name, ends in edges.items() if row[name] in ends]
    for name in names:
        print(f"main stage: {name} = {row[name]:g} is best, and the search ends there", flush=True)
    return ", ".join(names)


def _inputs(run, split: str, fetch: Callable) -> tuple[tuple, dict]:
    """What a model takes of a split's labelled samples, and what its loss is held against."""
    rows = run.rows(split)
    return fetch(rows), {"targets": run.targets[rows.to(run.targets.device)]}


def _judged(run, model: nn.Module, splits: dict, plain: bool) -> dict:
    """Losses on both splits."""
    row = {}
    for name, (inputs, batch) in splits.items():
        logits = model(*inputs)
        own = run.task.loss(logits, batch["targets"]) if plain else run.task_loss(logits, batch)
        row |= {f"{name}_loss": own.item(), f"{name}_task": own.item()}
    return row
