"""What a study tells of survival beside its metrics: folds, patients, the true hazard."""

import numpy as np
import pandas as pd

from histopair.evaluation import tasks
from histopair.evaluation.metrics import names
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
    one, where the study's `truth` (parquet of path and log_hazard, phantom only) knows it.
    """
    return [row for method, run in _runs(cell) for row in _of_run(run, method, study)]


def hazards(cell: dict, study: dict) -> list[dict]:
    """The metrics of the true hazard itself, a ceiling, and each method's correlation with it.

    correlation: Spearman's, in each fold, and the mean over folds and seeds. Nothing without truth.
    """
    known = pd.DataFrame(patients(cell, study), columns=PATIENTS)
    if known.empty or known["log_hazard"].isna().all():
        return []
    first = next(run for _, run in _runs(cell))
    found = first["truth"], first["context"]
    one = known[known["method"] == known["method"].iloc[0]]
    one = one[one["seed"] == one["seed"].iloc[0]]
    risk = one["log_hazard"].to_numpy(float)[:, None]
    ceiling = tasks.of(cell["task"]).judge(found[0], risk, [], **found[1])
    rows = [{"method": TRUTH, "metric": m, "value": ceiling[m]} for m in names(cell["task"])]
    for method, own in known.groupby("method", sort=False):
        each = own.groupby(["seed", "fold"])[["risk", "log_hazard"]]
        values = [part["risk"].corr(part["log_hazard"], method="spearman") for _, part in each]
        rows.append({"method": method, "metric": CORRELATION, "value": float(np.mean(values))})
    return rows


def _runs(cell: dict) -> list[tuple[str, dict]]:
    """Method and member of each run that has follow-up."""
    return [
        (method, run)
        for method, runs in cell["runs"].items()
        for run in runs
        if "fold" in run["context"]
    ]


def _of_run(run: dict, method: str, study: dict) -> list[dict]:
    table = tables.without_vectors(run["predictions"])
    table = table.assign(risk=tables.matrix(run["predictions"], "scores")[:, 0].astype(float))
    table = table.assign(fold=table.get("fold", 1))
    middle = table[table["split"] != "test"].groupby("fold")["risk"].median()
    test = table[table["split"] == "test"].sort_values("sample_id", kind="stable")
    test = test.assign(
        method=method,
        seed=run["seed"],
        patient=test["sample_id"],
        high=test["risk"] > test["fold"].map(middle),
        log_hazard=_log_hazard(test["sample_id"], study.get("truth")),
    )
    return test[PATIENTS].to_dict("records")


def _log_hazard(patients: pd.Series, truth: str | None) -> np.ndarray:
    """The true log-hazard of each patient; NaN where nobody knows it."""
    table = tables.read(truth) if truth else pd.DataFrame()
    if "log_hazard" not in table:
        return np.full(len(patients), np.nan)
    place = tables.positions(
        patients, table["path"], truth, "it does not know {}", "Rerun phantom_cohort"
    )
    return table["log_hazard"].to_numpy()[place]
