"""Whether runs have converged, from their histories, against what metrics.json says."""

from pathlib import Path

import numpy as np
import pandas as pd

from recompute import artifacts
from recompute.tally import Tally

FALL = 0.02  # of the train loss, from the tenth of the epochs before the last to the last
BEHIND = 0.1  # of the first epoch's train loss, above the middle seed's at the best epoch
FEWEST_STEPS = 50  # of a whole stage
VANISHED = 0.1  # of the first epoch's train loss: less counts as this much


def stages(history: pd.DataFrame) -> list[dict]:
    """Epochs, the best of them (from 1) and whether it has converged, for each stage."""
    parts = history.groupby("stage", sort=False) if len(history) else ()
    return [
        {"stage": name, "epochs": len(rows), "best_epoch": int(np.argmin(rows["val_task"])) + 1}
        | {"converged": _converged(rows)}
        for name, rows in parts
    ]


def converged(history: pd.DataFrame) -> bool:
    return all(stage["converged"] for stage in stages(history))


def unfinished(histories: list[pd.DataFrame]) -> int:
    """How many of a method's seeds have not converged, or learned much less than the middle one."""
    losses = [
        {"seed": seed, "stage": stage, "first": rows["train_task"].iloc[0]}
        | {"best": rows["train_task"].iloc[int(np.argmin(rows["val_task"]))]}
        for seed, history in enumerate(histories)
        for stage, rows in (history.groupby("stage") if len(history) else ())
        if not stated(rows) and not thrown_away(rows)
    ]
    late = {seed for seed, history in enumerate(histories) if not converged(history)}
    table = pd.DataFrame(losses, columns=["seed", "stage", "first", "best"])
    for _, seeds in table.groupby("stage"):
        above = seeds["best"] - seeds["best"].median() > BEHIND * seeds["first"].median()
        late |= set(seeds["seed"][above]) if len(seeds) > 2 else set()
    return len(late)


def _converged(rows: pd.DataFrame) -> bool:
    """The best epoch is not the last, the train loss has stopped falling, and steps were enough.

    If the rows themselves say whether they have converged, that counts. What the run did not use
    has nothing to reach.
    """
    if thrown_away(rows):
        return True
    if stated(rows):
        return bool(rows["converged"].all())
    losses, count = rows["train_loss"].to_numpy(float), len(rows)
    if int(np.argmin(rows["val_task"])) == count - 1:
        return False
    if "steps" in rows and rows["steps"].sum(min_count=1) < FEWEST_STEPS:
        return False
    tenth = max(1, count // 10)
    before, last = losses[count - 2 * tenth : count - tenth].mean(), losses[count - tenth :].mean()
    return not (before > 0 and (before - last) / max(before, VANISHED * losses[0]) > FALL)


def stated(rows: pd.DataFrame) -> bool:
    """Whether a solver says of itself that it reached the optimum or not: then no seed is stuck."""
    return "converged" in rows and bool(rows["converged"].notna().all())


def thrown_away(rows: pd.DataFrame) -> bool:
    """Whether the run predicts with what it had before this stage."""
    return "used" in rows and bool((rows["used"] == 0).all())


def of_runs(results: Path) -> Tally:
    """What metrics.json says about each stage of each run."""
    tally = Tally("convergence of trainings")
    for file in artifacts.run_files(results, "metrics.json"):
        with tally.reading(file):
            stated = artifacts.read_json(file)["convergence"]
            recomputed = stages(artifacts.table(file.with_name("history.parquet")))
            stated_stages = [
                {name: stage[name] for name in ("stage", "epochs", "best_epoch")}
                | {"converged": not stage["reason"]}
                for stage in stated["stages"]
            ]
            agrees = stated_stages == recomputed
            tally.holds(file, "stages", agrees, stated_stages, recomputed)
            whole = all(stage["converged"] for stage in recomputed)
            agrees = stated["converged"] == whole and (whole == (not stated["reasons"]))
            tally.holds(file, "converged", agrees, stated["converged"], whole)
    return tally


CHECKS = [of_runs]
