"""What a study's page shows about survival, from its tables of folds, patients and hazards."""

from pathlib import Path

import pandas as pd

from histopair.evaluation import concordance, follow_up
from histopair.files import tables
from histopair.pages import risk_figures


def context(cell: dict[str, pd.DataFrame], labels: str | Path) -> dict | None:
    """Tables and figures of one cell; None if nothing has follow-up.

    cell: the tables of `follow_up`, by name. labels: labels parquet, for the unit of times. Curves
    and scatters show the first seed of each method.
    """
    folds, patients, hazards = (cell[name] for name in ("folds", "patients", "hazards"))
    if patients.empty:
        return None
    patients = patients.astype({"time": float, "risk": float, "event": bool, "high": bool})
    first = patients[patients["seed"] == patients.groupby("method")["seed"].transform("first")]
    ranks = _ranks(patients)
    p = {row["method"]: row["p"][0] for row in ranks}
    unit = tables.about(labels).get("time_unit", "months")
    true = first["log_hazard"].notna().all()
    scatter = risk_figures.against_truth(first.astype({"log_hazard": float})) if true else None
    is_ceiling = hazards["method"] == follow_up.TRUTH
    ceiling = hazards[is_ceiling]
    return {
        "folds": _folds(folds),
        "columns": list(dict.fromkeys(zip(folds["metric"], folds["method"], strict=True))),
        "patients": first["patient"].nunique(),
        "events": int(first.drop_duplicates("patient")["event"].sum()),
        "curves": risk_figures.curves(first, p, unit),
        "ranks": ranks,
        "scatter": scatter,
        "correlations": hazards[~is_ceiling][["method", "value"]].to_dict("records"),
        "ceiling": dict(zip(ceiling["metric"], ceiling["value"], strict=True)),
    }


def _folds(folds: pd.DataFrame) -> list[dict]:
    """Per fold its size, and the mean over seeds of each metric and method."""
    folds = folds.astype({"value": float})
    return [
        {"fold": int(fold), "n": int(part["n"].iloc[0]), "events": int(part["events"].iloc[0])}
        | {"values": list(part.groupby(["metric", "method"], sort=False)["value"].mean())}
        for fold, part in folds.groupby("fold")
    ]


def _ranks(patients: pd.DataFrame) -> list[dict]:
    """Per method the p of each seed's log-rank test of high against low risk."""
    return [
        {"method": method}
        | {"p": [concordance.log_rank(one) for _, one in part.groupby("seed", sort=False)]}
        for method, part in patients.groupby("method", sort=False)
    ]
