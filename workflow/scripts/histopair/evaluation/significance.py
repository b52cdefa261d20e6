"""Tests of each method against the study's reference, and what they come to together.

The primary test is two-way: would this gain be seen again with other trainings, on other patients?
Beside it stand its two halves. Over groups alone: would these very models differ on other patients,
which is what counts for one that is to be used as it is. Over seeds alone (Welch): would other
trainings differ on these patients, with hardly any power at three seeds.
"""

import math

import numpy as np

from histopair.evaluation import leak, metrics, orders, p_values, power, two_way

POINT = 0.01  # the gain whose seeds are counted beside the observed one's
ROUNDING = 1e-12  # draws that equal the observed difference but for rounding are as extreme
EVERYTHING = "*"  # dataset and encoder of rows that combine all cells; no name can be this
COLUMNS = [
    "method",
    "reference",
    "metric",
    "cells",
    "gain",
    "low",
    "high",
    "p",
    "p_holm",
    "p_better",
    "seed_share",
    "p_groups",
    "test_groups",
    "p_seeds",
    "p_seeds_better",
    "effect_groups",
    "effect_seeds",
    "seeds_for_gain",
    "seeds_for_point",
    "n_seeds",
    "n_groups",
    "unit",
]


def rows(cells: dict[tuple[str, str], dict], study: dict) -> list[dict]:
    """One row in COLUMNS per cell and method, then one per method of several cells together.

    p: two-sided and two-way (`two_way`), as low and high; p_better: one-sided, that the method is
    better; seed_share: the seeds' share of that variance; p_groups: two-sided, the trained models
    fixed; p_seeds and p_seeds_better: Welch over seeds; p_holm: p corrected for the comparisons on
    its dataset, all methods and encoders of the study in its one metric. Each dataset is a question
    of its own, and one more of them must not cost another its answer. Rows of several cells
    (EVERYTHING) combine the one-sided p by Fisher's method, uncorrected, without random splits of
    datasets that are also split by group and without cells that have no p.
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
    sign = metrics.sign(metric)
    test, p_groups, _ = _over_groups(cell, reference, method, metric, sign)
    p_seeds, p_seeds_better = p_values.welch(sign * other[0], sign * base[0])
    sure = orders.gain(cell, reference, method, metric)
    gain = sure["gain"]
    spread = _spread(other[1], base[1]) if cell["n_groups"] > 1 else 0.0
    deviation, alone = _deviation(other[0], base[0])
    seeds = sorted((len(base[0]), len(other[0])))
    return {
        **{name: sure[name] for name in ("gain", "low", "high", "p", "p_better", "seed_share")},
        "p_groups": p_groups,
        "test_groups": test,
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
    """Test over groups of the models as they are: name, two-sided p, one-sided that ours is better.

    None for fewer than two groups, and where the metric exists in fewer than half of the resamples.
    """
    pair = [cell["methods"][name][metric][1] for name in (method, reference)]
    if not all(two_way.over_groups(replicates, cell["n_groups"]) for replicates in pair):
        return None, None, None
    ours, theirs = ([run["counts"] for run in cell["runs"][name]] for name in (method, reference))
    matched = len(ours) == len(theirs) or 1 in (len(ours), len(theirs))
    if metrics.METRICS[metric].rate and matched:
        observed, null = p_values.permutation(ours, theirs, metric)
        observed, null = sign * observed, sign * null
        extreme = (np.abs(null) >= abs(observed) - ROUNDING).sum()
        better = (null >= observed - ROUNDING).sum()
        return "permutation", p_values.share(extreme, len(null)), p_values.share(better, len(null))
    means = [np.atleast_2d(replicates).mean(0) for replicates in pair]
    gains = sign * (means[0] - means[1])
    gains = gains[np.isfinite(gains)]
    worse, better = (gains <= 0).sum(), (gains >= 0).sum()
    p = min(1.0, 2 * p_values.share(min(worse, better), len(gains)))
    return "bootstrap", p, p_values.share(worse, len(gains))


def _spread(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Standard deviation between resamples of the difference of two means over seeds."""
    means = [np.atleast_2d(replicates).mean(0) for replicates in (ours, theirs)]
    return float(np.nanstd(means[0] - means[1])) if np.isfinite(means).any() else 0.0


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
    known = [row for row in found if row["p_better"] is not None]
    return {
        "dataset": EVERYTHING,
        "encoder": EVERYTHING,
        "method": found[0]["method"],
        "reference": found[0]["reference"],
        "metric": found[0]["metric"],
        "cells": len(known),
        "gain": sum(row["gain"] for row in known) / len(known) if known else None,
        "test_groups": "Fisher",
        "p_better": p_values.fisher([row["p_better"] for row in found]),
        "p_seeds_better": p_values.fisher([row["p_seeds_better"] for row in found]),
    }
