"""A study's survival results beside its metrics: folds, patients, the true hazard."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from histopair.evaluation import tasks
from histopair.evaluation.metrics import mean_defined, names
from histopair.files import tables

TRUTH = "true hazard"
FOLDS = ["method", "seed", "fold", "metric", "value", "n", "events"]
PATIENTS = ["method", "seed", "fold", "patient", "time", "event", "risk", "high", "log_hazard"]
HAZARDS = ["method", "metric", "value"]
CORRELATION = "correlation"


def folds(cell: dict, study: dict) -> list[dict]:
    """One row per method, seed, fold and metric."""
    return [
        {"method": method, "seed": run["seed"], "metric": metric, "value": fold[metric]}
        | {name: fold[name] for name in ("fold", "n", "events")}
        for method, run in _runs(cell)
        for fold in run["metrics"]["splits"]["test"]["folds"]
        for metric in names(cell["task"])
    ]


def patients(cell: dict, study: dict) -> list[dict]:
    """One row per method, seed and test patient.

    high: above the median risk of those that the fold's model was built on. log_hazard: the true
    one, if the study's `truth` (parquet of path and log_hazard, phantom only) has it.
    """
    runs = _runs(cell)
    hazard = _log_hazard(cell["ids"], study.get("truth")) if runs else None
    return [row for method, run in runs for row in _of_run(method, run, cell["ids"], hazard)]


def hazards(cell: dict, study: dict) -> list[dict]:
    """The metrics of the true hazard itself, a ceiling, and each method's correlation with it.

    correlation: Spearman's in each fold, then the mean over folds and seeds, but for folds in which
    all risks are alike, where there is none. [] without truth.
    """
    runs = _runs(cell)
    hazard = _log_hazard(cell["ids"], study.get("truth")) if runs else np.array([])
    if not np.isfinite(hazard).any():
        return []
    first = runs[0][1]
    ceiling = tasks.of(cell["task"]).judge(first["truth"], hazard[:, None], [], **first["context"])
    rows = [{"method": TRUTH, "metric": m, "value": ceiling[m]} for m in names(cell["task"])]
    correlations: dict[str, list[float]] = {}
    for method, run in runs:
        fold, risk = run["context"]["fold"], run["scores"][:, 0]
        for inside in [fold == each for each in np.unique(fold)]:
            known = np.ptp(risk[inside]) > 0 and np.ptp(hazard[inside]) > 0
            correlation = spearmanr(risk[inside], hazard[inside]).statistic if known else np.nan
            correlations.setdefault(method, []).append(correlation)
    return rows + [
        {"method": method, "metric": CORRELATION, "value": float(mean_defined(np.array(values)))}
        for method, values in correlations.items()
    ]


def _runs(cell: dict) -> list[tuple[str, dict]]:
    """Method and run of each member that has follow-up."""
    return [
        (method, run)
        for method, runs in cell["runs"].items()
        for run in runs
        if "fold" in run["context"]
    ]


def _of_run(method: str, run: dict, ids: list[str], log_hazard: np.ndarray) -> list[dict]:
    fold, risk = run["context"]["fold"], run["scores"][:, 0].astype(float)
    test = pd.DataFrame({"patient": ids, "fold": fold, "risk": risk, "log_hazard": log_hazard})
    test = test.assign(time=run["truth"][:, 0], event=run["truth"][:, 1] > 0)
    test = test.assign(high=risk > test["fold"].map(_middle(run["predictions"])))
    return test.assign(method=method, seed=run["seed"])[PATIENTS].to_dict("records")


def _middle(predictions: str | Path) -> pd.Series:
    """By fold, the median risk of the patients beside the test fold."""
    table = tables.without_vectors(predictions)
    table = table.assign(risk=tables.matrix(predictions, "scores")[:, 0].astype(float))
    beside = table.assign(fold=table.get("fold", 1))[table["split"] != "test"]
    return beside.groupby("fold")["risk"].median()


def _log_hazard(patients: list[str], truth: str | None) -> np.ndarray:
    """The true log-hazard of each patient; NaN without a truth that has it."""
    table = tables.read(truth) if truth else pd.DataFrame()
    if "log_hazard" not in table:
        return np.full(len(patients), np.nan)
    place = tables.positions(
        pd.Series(patients), table["path"], truth, "it lacks {}", "Rerun phantom_cohort"
    )
    return table["log_hazard"].to_numpy()[place]
