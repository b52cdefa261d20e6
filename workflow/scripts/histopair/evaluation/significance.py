"""Tests of each method against the study's reference, and what they come to together.

Two questions are kept apart. Would these trained models differ on other patients? The paired test
over test groups answers it and is the primary one: it uses every test sample. Would other trainings
differ? Welch's test over seeds answers it, with hardly any power at three seeds.
"""

import math

import numpy as np
from scipy import stats

from histopair.evaluation import bootstrap, leak, metrics, orders

PERMUTATIONS = 4999
CELLS = 4_000_000  # swaps held at once: 32 MB
POINT = 0.01  # the gain whose seeds are counted beside the observed one's
MOST_SEEDS = 10_000
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
    and p_seeds_better: Welch over seeds; p_holm: p over all comparisons of the study. Rows of
    several cells (EVERYTHING) combine the one-sided p by Fisher's method, without random splits of
    datasets that are also split by group.
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
    for row, adjusted in zip(found, holm([row["p"] for row in found]), strict=True):
        row["p_holm"] = adjusted
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
    p_seeds, p_seeds_better = welch(sign * other[0], sign * base[0])
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
        "seeds_for_gain": seeds_needed(_over(gain, deviation), alone),
        "seeds_for_point": seeds_needed(_over(POINT, deviation), alone),
        "n_seeds": seeds[1] if alone else seeds[0],
        "n_groups": cell["n_groups"],
    }


def permutation(
    ours: list[dict], theirs: list[dict], metric: str, task: str, seed: int = bootstrap.SEED
) -> tuple[float, np.ndarray]:
    """The difference of two methods' mean metric, and its values with groups swapped at random.

    ours, theirs: for each seed the counts of each group (`bootstrap.group_counts`); where one side
    has one seed it stands against each of the other's. If the methods were alike, which of them a
    group's predictions come from would not matter: in each of PERMUTATIONS draws every group
    changes sides with probability 1/2, all its seeds together.
    """
    count = max(len(ours), len(theirs))
    pairs = [(ours[i % len(ours)], theirs[i % len(theirs)]) for i in range(count)]
    groups = len(pairs[0][0]["samples"])
    random = np.random.default_rng(seed)
    step = max(1, CELLS // groups)
    parts = [
        _differences(
            pairs, random.integers(0, 2, (min(step, PERMUTATIONS - i), groups)), metric, task
        )
        for i in range(0, PERMUTATIONS, step)
    ]
    observed = _differences(pairs, np.zeros((1, groups)), metric, task)[0]
    return float(observed), np.concatenate(parts)


def welch(ours: np.ndarray, theirs: np.ndarray) -> tuple[float | None, float | None]:
    """Two-sided p, and one-sided p that ours are higher, of Welch's test over the seeds' values.

    One value alone is that of a method without chance: the other's seeds are tested against it.
    (None, None) where both are single or nothing varies.
    """
    if len(ours) < 2 and len(theirs) < 2:
        return None, None
    if np.ptp(ours) == 0 and np.ptp(theirs) == 0:
        return None, None
    if 1 in (len(ours), len(theirs)):
        difference = ours - theirs
        found = [stats.ttest_1samp(difference, 0, alternative=a) for a in ("two-sided", "greater")]
    else:
        found = [
            stats.ttest_ind(ours, theirs, equal_var=False, alternative=a)
            for a in ("two-sided", "greater")
        ]
    return tuple(float(test.pvalue) if np.isfinite(test.pvalue) else None for test in found)


def welch_of_summary(ours: tuple, theirs: tuple, n: int) -> float:
    """One-sided p that ours is higher, from (mean, standard deviation) over n seeds of each."""
    test = stats.ttest_ind_from_stats(*ours, n, *theirs, n, equal_var=False, alternative="greater")
    return float(test.pvalue)


def fisher(p: list[float | None]) -> float | None:
    """Fisher's combined p of independent tests; None unless all exist."""
    if not p or None in p:
        return None
    return float(stats.combine_pvalues(p, method="fisher").pvalue)


def holm(p: list[float | None]) -> list[float | None]:
    """p corrected for their number, step down (Holm 1979); None stays and counts for nothing."""
    order = sorted((value, i) for i, value in enumerate(p) if value is not None)
    corrected, highest = [None] * len(p), 0.0
    for rank, (value, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * value))
        corrected[i] = highest
    return corrected


def seeds_needed(effect: float | None, alone: bool = False, power: float = 0.8) -> float | None:
    """Seeds of each method for a two-sided t test at 5% to find this effect with this power.

    effect: Cohen's d. alone: the other method has no chance, and one side only needs seeds.
    None for no effect; infinite where MOST_SEEDS do not do.
    """
    if not effect:
        return None
    low, high = 1, 2
    while _power(abs(effect), high, alone) < power:
        low, high = high, 2 * high
        if low > MOST_SEEDS:
            return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(abs(effect), middle, alone) >= power else (middle, high)
    return high


def _power(effect: float, n: int, alone: bool) -> float:
    freedom, scale = (n - 1, n) if alone else (2 * n - 2, n / 2)
    limit, shift = stats.t.ppf(0.975, freedom), effect * math.sqrt(scale)
    if shift > 10 + 2 * limit:  # certain, and beyond what the noncentral t is computed for
        return 1.0
    shifted = stats.nct(freedom, shift)
    return float(shifted.sf(limit) + shifted.cdf(-limit))


def _over_groups(cell, reference, method, metric, sign) -> tuple:
    """Name of the test, two-sided p, and one-sided p that the method is better."""
    if cell["n_groups"] < 2 or metric == "ece":
        return None, None, None
    ours, theirs = ([run["counts"] for run in cell["runs"][name]] for name in (method, reference))
    matched = len(ours) == len(theirs) or 1 in (len(ours), len(theirs))
    if metric not in metrics.RANKED and matched:
        observed, null = permutation(ours, theirs, metric, cell["task"])
        observed, null = sign * observed, sign * null
        extreme = (np.abs(null) >= abs(observed) - ROUNDING).sum()
        better = (null >= observed - ROUNDING).sum()
        return "permutation", _share(extreme, len(null)), _share(better, len(null))
    pair = [cell["methods"][name][metric][1] for name in (method, reference)]
    gains = sign * (pair[0] - pair[1])
    gains = gains[np.isfinite(gains)]
    worse, better = (gains <= 0).sum(), (gains >= 0).sum()
    p = min(1.0, 2 * _share(min(worse, better), len(gains)))
    return "bootstrap", p, _share(worse, len(gains))


def _share(extreme: int, draws: int) -> float:
    """Share of draws as extreme, the observed one counted too (Phipson and Smyth 2010)."""
    return float((extreme + 1) / (draws + 1))


def _differences(pairs: list[tuple], swaps: np.ndarray, metric: str, task: str) -> np.ndarray:
    found = []
    swaps = swaps.astype(float)
    for one, other in pairs:
        moved = {name: _moved(swaps, other[name] - one[name]) for name in one}
        sides = (
            {name: values.sum(0) + sign * moved[name] for name, values in side.items()}
            for side, sign in ((one, 1), (other, -1))
        )
        ours, theirs = (metrics.rates(totals, task)[metric] for totals in sides)
        found.append(ours - theirs)
    return np.mean(found, axis=0)


def _moved(swaps: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """What changes sides (swaps, k); most counts are common to both methods, and cost nothing."""
    if differences.any():
        return swaps @ differences
    return np.zeros((len(swaps), differences.shape[1]))


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
        "p_better": fisher([row["p_better"] for row in found]),
        "p_seeds_better": fisher([row["p_seeds_better"] for row in found]),
    }
