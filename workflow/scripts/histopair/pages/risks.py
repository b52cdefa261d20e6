"""What a study's page shows of survival, from its tables of folds, patients and true hazards."""

import pandas as pd

from histopair.evaluation import concordance, follow_up, metrics
from histopair.pages import risk_figures


def context(folds: pd.DataFrame, patients: pd.DataFrame, hazards: pd.DataFrame) -> dict | None:
    """Tables and figures of one cell; None where nothing has follow-up.

    The tables are those of `follow_up`. Curves and scatters are of the first seed of each method.
    """
    if patients.empty:
        return None
    patients = patients.astype({"time": float, "risk": float, "event": bool, "high": bool})
    first = patients[patients["seed"] == patients.groupby("method")["seed"].transform("first")]
    ranks = _ranks(patients)
    known = first["log_hazard"].notna().all()
    named = first.assign(log_hazard=first["log_hazard"].astype(float)) if known else None
    own = hazards[hazards["method"] != follow_up.TRUTH]
    ceiling = hazards[hazards["method"] == follow_up.TRUTH]
    return {
        "folds": _folds(folds),
        "columns": list(dict.fromkeys(zip(folds["metric"], folds["method"], strict=True))),
        "titles": metrics.titles(),
        "patients": first["patient"].nunique(),
        "events": int(first.drop_duplicates("patient")["event"].sum()),
        "curves": risk_figures.curves(first, {row["method"]: row["p"][0] for row in ranks}),
        "ranks": ranks,
        "scatter": None if named is None else risk_figures.against_truth(named),
        "correlations": own[["method", "value"]].to_dict("records"),
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
