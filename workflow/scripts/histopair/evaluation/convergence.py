"""Whether a run has converged, as far as its history can say.

Runs that were stopped too early differ by how fast they train, not by what they can reach: a
comparison with one of them decides nothing.
"""

import pandas as pd

FALL = 0.02  # of the train loss, from one tenth of the epochs to the next


def judge(history: pd.DataFrame) -> dict:
    """What the stages of a run come to: `converged`, the `reasons` why not, and `stages`.

    history: rows of stage, epoch, train_loss and val_task, the loss that chooses the best epoch;
    `converged` where the method knows it by itself. A stage has not converged if its best epoch is
    its last, or if its train loss still fell by more than FALL at the end. A method that trains
    nothing has converged.
    """
    parts = history.groupby("stage", sort=False) if len(history) else ()
    stages = [{"stage": name} | _stage(part) for name, part in parts]
    reasons = [f"{stage['stage']} stage: {stage['reason']}" for stage in stages if stage["reason"]]
    return {"converged": not reasons, "reasons": reasons, "stages": stages}


def _stage(rows: pd.DataFrame) -> dict:
    epochs, best = len(rows), int(rows["val_task"].to_numpy().argmin()) + 1
    return {"epochs": epochs, "best_epoch": best, "reason": _reason(rows, epochs, best)}


def _reason(rows: pd.DataFrame, epochs: int, best: int) -> str:
    """Why a stage has not converged, or ""."""
    if "converged" in rows and rows["converged"].notna().all():
        return "" if rows["converged"].all() else "its solver did not reach the optimum"
    if best == epochs:
        return f"its best epoch is its last, {best} of {epochs}"
    fall = falling(rows["train_loss"].to_numpy())
    if fall > FALL:
        return f"its train loss still fell by {fall:.0%} at the end of {epochs} epochs"
    return ""


def falling(losses) -> float:
    """By what share the mean of the last tenth of n losses is below that of the tenth before."""
    width = max(1, len(losses) // 10)
    before, last = losses[-2 * width : -width].mean(), losses[-width:].mean()
    return float((before - last) / before) if before > 0 else 0.0
