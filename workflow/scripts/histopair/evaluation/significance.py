"""Tests of each method against the study's reference, and what they come to together.

Two questions are kept apart. Would these trained models differ on other patients? The paired test
over test groups answers it and is the primary one: it uses every test sample. Would other trainings
differ? Welch's test over seeds answers it, with hardly any power at three seeds.
"""

import math

import numpy as np

from histopair.evaluation import leak, metrics, orders, p_values, power

POINT = 0.01  # the gain whose seeds are counted beside the observed one's
ROUNDING = 1e-12  # draws that equal the observed difference but for rounding are as extreme
EVERYTHING = "*"  # dataset and encoder of rows that combine all cells; no name can be this
COLUMNS = [
    "method",
    "reference",
    "metric",
    "cells",
    "gain",
    "test",
    "p",
    "p_holm",
    "p_better",
    "p_seeds",
    "p_seeds_better",
    "effect_groups",
    "effect_seeds",
    "seeds_for_gain",
    "seeds_for_point",
    "n_seeds",
    "n_groups",
]


def rows(cells: dict[tuple[str, str], dict], study: dict) -> list[dict]:
    """One row in COLUMNS per cell and method, then one per method of several cells together.

    p: two-sided, paired over test groups; p_better: one-sided, that the method is better; p_seeds
    and p_seeds_better: Welch over seeds; p_holm: p corrected for the comparisons on its dataset,
    all methods and encoders of the study in its one metric. Each dataset is a question of its own,
    and one more of them must not cost another its answer. Rows of several cells (EVERYTHING)
    combine the one-sided p by Fisher's method, uncorrected, without random splits of datasets that
    are also split by group.
    """
    reference, metric = study.get("reference"), study["metric"]
    found = [
        {"dataset": dataset, "encoder": column, "method": method, "reference": reference}
        | {"metric": metric, "cells": 1}
        | compare(cell, reference, method, metric)
        for (dataset, column), cell in cells.items()
        for method in cell["methods"]
        if reference in cell["methods"] and method != reference
    ]
    for dataset in dict.fromkeys(row["dataset"] for row in found):
        _correct([row for row in found if row["dataset"] == dataset])
    leaky = {row for row, _ in leak.pairs(study)}
    sound = [row for row in found if row["dataset"] not in leaky]
    methods = dict.fromkeys(row["method"] for row in sound)
    together = [[row for row in sound if row["method"] == method] for method in methods]
    return found + [_together(of_one) for of_one in together if len(of_one) > 1]


def compare(cell: dict, reference: str, method: str, metric: str) -> dict:
    """One method against the reference in one cell; None for what does not exist there."""
    base, other = (cell["methods"][name][metric] for name in (reference, method))
    sign = -1 if metric in metrics.LOWER_IS_BETTER else 1
    test, p, p_better = _over_groups(cell, reference, method, metric, sign)
    p_seeds, p_seeds_better = p_values.welch(sign * other[0], sign * base[0])
    gain = orders.gain(cell, reference, method, metric)["gain"]
    spread = float(np.std(other[1] - base[1])) if cell["n_groups"] > 1 else 0.0
    deviation, alone = _deviation(other[0], base[0])
    seeds = sorted((len(base[0]), len(other[0])))
    return {
        "gain": gain,
        "test": test,
        "p": p,
        "p_better": p_better,
        "p_seeds": p_seeds,
        "p_seeds_better": p_seeds_better,
        "effect_groups": _over(gain, spread * math.sqrt(cell["n_groups"])),
        "effect_seeds": _over(gain, deviation),
        "seeds_for_gain": power.seeds_needed(_over(gain, deviation), alone),
        "seeds_for_point": power.seeds_needed(_over(POINT, deviation), alone),
        "n_seeds": seeds[1] if alone else seeds[0],
        "n_groups": cell["n_groups"],
    }


def _over_groups(cell, reference, method, metric, sign) -> tuple:
    """Name of the test, two-sided p, and one-sided p that the method is better."""
    if cell["n_groups"] < 2 or metric == "ece":
        return None, None, None
    ours, theirs = ([run["counts"] for run in cell["runs"][name]] for name in (method, reference))
    matched = len(ours) == len(theirs) or 1 in (len(ours), len(theirs))
    if metric not in metrics.RANKED and matched:
        observed, null = p_values.permutation(ours, theirs, metric, cell["task"])
        observed, null = sign * observed, sign * null
        extreme = (np.abs(null) >= abs(observed) - ROUNDING).sum()
        better = (null >= observed - ROUNDING).sum()
        return "permutation", p_values.share(extreme, len(null)), p_values.share(better, len(null))
    pair = [cell["methods"][name][metric][1] for name in (method, reference)]
    gains = sign * (pair[0] - pair[1])
    gains = gains[np.isfinite(gains)]
    worse, better = (gains <= 0).sum(), (gains >= 0).sum()
    p = min(1.0, 2 * p_values.share(min(worse, better), len(gains)))
    return "bootstrap", p, p_values.share(worse, len(gains))


def _correct(family: list[dict]) -> None:
    for row, adjusted in zip(family, p_values.holm([row["p"] for row in family]), strict=True):
        row["p_holm"] = adjusted


def _deviation(ours: np.ndarray, theirs: np.ndarray) -> tuple[float | None, bool]:
    """Standard deviation over seeds, pooled, and whether one of the two has none of its own."""
    spreads = [values.var(ddof=1) for values in (ours, theirs) if len(values) > 1]
    if not spreads:
        return None, False
    return math.sqrt(sum(spreads) / len(spreads)), len(spreads) == 1


def _over(value: float, spread: float | None) -> float | None:
    return value / spread if spread else None


def _together(found: list[dict]) -> dict:
    return {
        "dataset": EVERYTHING,
        "encoder": EVERYTHING,
        "method": found[0]["method"],
        "reference": found[0]["reference"],
        "metric": found[0]["metric"],
        "cells": len(found),
        "gain": sum(row["gain"] for row in found) / len(found),
        "test": "Fisher",
        "p_better": p_values.fisher([row["p_better"] for row in found]),
        "p_seeds_better": p_values.fisher([row["p_seeds_better"] for row in found]),
    }
