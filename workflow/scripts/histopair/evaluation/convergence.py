"""Whether a run has converged, as far as its history can say.

Runs that stopped too early differ by how fast they train, not by what they can reach: a comparison
with one of them decides nothing.
"""

import numpy as np
import pandas as pd

LEAST_STEPS = 50  # of a stage: patience of a few epochs of one step says nothing
FALL = 0.02  # of the train loss, from one tenth of the epochs to the next
BEHIND = 0.1  # of the train loss of the first epoch
SMALL = 0.1  # of the train loss of the first epoch: below, a fall is measured against this much


def judge(history: pd.DataFrame) -> dict:
    """Whether a run has `converged`, the `reasons` why not, and its `stages`.

    history: rows of stage, epoch, train_loss, train_task and val_task, the loss that chooses the
    best epoch; `steps` of an epoch, in histories that say it; `converged` if the method itself
    knows; `used`, false for a stage that the run threw away, which is not judged. A stage has not
    converged if its best epoch is its last, if its train loss still fell by more than FALL at the
    end, or if it took fewer than LEAST_STEPS steps. A method that trains nothing has converged.
    """
    parts = history.groupby("stage", sort=False) if len(history) else ()
    stages = [{"stage": name} | _stage(part) for name, part in parts]
    reasons = [f"{stage['stage']} stage: {stage['reason']}" for stage in stages if stage["reason"]]
    return {"converged": not reasons, "reasons": reasons, "stages": stages}


def unfinished(judged: list[dict]) -> int:
    """How many of a method's seeds have not converged, or are `behind` the others.

    judged: what `judge` returns for each seed. A stage whose solver knows that it has reached the
    optimum cannot be stuck: its train loss differs with the penalty and the labels of each seed.
    """
    lost = behind([_trained(seed["stages"]) for seed in judged])
    return sum(not seed["converged"] or stuck for seed, stuck in zip(judged, lost, strict=True))


def _trained(stages: list[dict]) -> dict[str, dict]:
    """The train losses of each stage that a run has trained and used."""
    kept = (stage for stage in stages if stage.get("used", True) and not stage.get("solved"))
    return {stage["stage"]: stage["train_task"] for stage in kept}


def behind(seeds: list[dict[str, dict]]) -> list[bool]:
    """Which seeds learned much less of the train split than the median of those with that stage.

    A history shows that more epochs would change little, but not that the run is stuck; the other
    seeds do. seeds: by stage a dict of `first` and `best`, the train losses of the first epoch and
    of the best. Of fewer than three seeds with a stage, none can be the odd one out.
    """
    lost = [False] * len(seeds)
    for name in dict.fromkeys(name for stages in seeds for name in stages):
        having = [place for place, stages in enumerate(seeds) if name in stages]
        first, best = ([seeds[i][name][when] for i in having] for when in ("first", "best"))
        most = np.median(best) + BEHIND * np.median(first)
        for place, loss in zip(having, best, strict=True):
            lost[place] |= len(having) > 2 and bool(loss > most)
    return lost


def _stage(rows: pd.DataFrame) -> dict:
    epochs, best = len(rows), int(rows["val_task"].to_numpy().argmin()) + 1
    losses = rows["train_task"].to_numpy(float)
    return {
        "epochs": epochs,
        "best_epoch": best,
        "train_task": {"first": float(losses[0]), "best": float(losses[best - 1])},
        "reason": _reason(rows, epochs, best) if _used(rows) else "",
        "solved": _solved(rows),
        "used": _used(rows),
    }


def _solved(rows: pd.DataFrame) -> bool:
    """Whether the method itself knows if the stage has converged."""
    return "converged" in rows and bool(rows["converged"].notna().all())


def _used(rows: pd.DataFrame) -> bool:
    return not ("used" in rows and rows["used"].eq(False).all())


def _reason(rows: pd.DataFrame, epochs: int, best: int) -> str:
    """Why a stage has not converged, or ""."""
    if _solved(rows):
        return "" if rows["converged"].all() else "its solver did not reach the optimum"
    if best == epochs:
        return f"its best epoch is its last, {best} of {epochs}"
    if "steps" in rows and rows["steps"].sum(min_count=1) < LEAST_STEPS:
        return f"it took {int(rows['steps'].sum())} steps, fewer than {LEAST_STEPS}"
    fall = falling(rows["train_loss"].to_numpy())
    if fall > FALL:
        return f"its train loss still fell by {fall:.0%} at the end of {epochs} epochs"
    return ""


def falling(losses) -> float:
    """By what share the mean of the last tenth of n losses is below that of the tenth before.

    A loss that has nearly vanished halves again and again: if it is below SMALL times the first
    loss, the share is of that.
    """
    width = max(1, len(losses) // 10)
    before, last = losses[-2 * width : -width].mean(), losses[-width:].mean()
    scale = max(before, SMALL * losses[0])
    return float((before - last) / scale) if before > 0 else 0.0
