"""Means over the seeds of a cell's methods: per class, and per bin of confidence."""

from pathlib import Path

import numpy as np

from histopair.evaluation import calibration, reliability
from histopair.evaluation.metrics import mean_known
from histopair.files import tables

CLASSES = ["method", "class", "support", "recall", "precision", "f1", "auc", "average_precision"]
CALIBRATION = ["method", "temperature", "at_bound", "ece", "ece_scaled"]
CALIBRATION += ["nll", "nll_scaled", "n_seeds", "val_wrong", "test_wrong"]
BINS = ["method", "scaled", "lower", "upper", "count", "confidence", "observed"]
VALUES = CLASSES[3:]


def classes(cell: dict, study: dict) -> list[dict]:
    """One row per method and class: support in the test split, and means over the seeds."""
    return [
        {"method": method, "class": label, "support": seen[0]["support"]}
        | {name: mean_known([row[name] for row in seen]) for name in VALUES}
        for method, runs in cell["runs"].items()
        for seeds in [[run["metrics"]["splits"]["test"]["per_class"] for run in runs]]
        for label in seeds[0]
        for seen in [[seed[label] for seed in seeds]]
    ]


def calibrations(cell: dict, study: dict) -> list[dict]:
    """One row per method: its temperature, and the test split's calibration before and after.

    at_bound: how many of the seeds' temperatures lie at a bound of the fit.
    """
    return [
        {
            "method": method,
            "temperature": mean_known([seed["temperature"] for seed in seeds]),
            "at_bound": sum(map(calibration.fits_at_bound, seeds)),
            "n_seeds": len(seeds),
        }
        | {
            name + end: mean_known([seed["splits"]["test"][when][name] for seed in seeds])
            for when, end in (("before", ""), ("after", "_scaled"))
            for name in ("ece", "nll")
        }
        for method, seeds in _calibrated(cell).items()
    ]


def wrong_labels(labels: str | Path, truth: str | Path) -> dict[str, float]:
    """val_wrong and test_wrong: the share of each split's labels that are wrong.

    A temperature fitted on wrong labels is too high for right ones. truth: parquet of path and
    label (phantom only). Empty for datasets of several labels.
    """
    true = tables.read(truth)
    if "label" not in true:
        return {}
    given = tables.read(labels, ["path", "split", "labels"])
    both = given.merge(true[["path", "label"]], on="path")
    is_wrong = both["labels"].str[0] != both["label"]
    shares = is_wrong.groupby(both["split"]).mean()
    return {f"{split}_wrong": float(shares[split]) for split in ("val", "test") if split in shares}


def bins(cell: dict, study: dict) -> list[dict]:
    """One row per method, before and after scaling, and bin that holds a decision of any seed."""
    edges = np.linspace(0, 1, reliability.BINS + 1)
    rows = []
    for method, seeds in _calibrated(cell).items():
        for scaled, when in ((False, "before"), (True, "after")):
            by_seed = [seed["splits"]["test"][when]["bins"] for seed in seeds]
            for b in range(reliability.BINS):
                row = _pooled([{name: seed[name][b] for name in seed} for seed in by_seed])
                if row:
                    place = {"lower": edges[b], "upper": edges[b + 1]}
                    rows.append({"method": method, "scaled": scaled} | place | row)
    return rows


def _calibrated(cell: dict) -> dict[str, list[dict]]:
    """The calibrations of each method's seeds; methods that have none are left out."""
    by_method = {
        method: [run["metrics"]["calibration"] for run in runs if run["metrics"]["calibration"]]
        for method, runs in cell["runs"].items()
    }
    return {method: seeds for method, seeds in by_method.items() if seeds}


def _pooled(seeds: list[dict]) -> dict | None:
    full = [seed for seed in seeds if seed["count"]]
    count = sum(seed["count"] for seed in full)
    if not full:
        return None
    shares = [seed["count"] / count for seed in full]
    return {"count": count} | {
        name: sum(share * seed[name] for share, seed in zip(shares, full, strict=True))
        for name in ("confidence", "observed")
    }
