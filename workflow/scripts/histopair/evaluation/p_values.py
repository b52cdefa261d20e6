"""p-values of one method against another, their combination and their correction."""

import numpy as np
from scipy import stats

from histopair.evaluation import bootstrap
from histopair.evaluation.metrics import METRICS

PERMUTATIONS = 4999
CELLS = 4_000_000  # swaps held at once: 32 MB


def permutation(
    ours: list[dict], theirs: list[dict], metric: str, seed: int = bootstrap.SEED
) -> tuple[float, np.ndarray]:
    """The difference of two methods' mean metric, and its values with groups swapped at random.

    ours, theirs: for each seed the counts of each group (`Labels.group_counts`); a single seed is
    compared with each of the other side's. If the methods were alike, it would not matter which of
    them a group's predictions come from: in each of PERMUTATIONS draws every group changes sides
    with probability 1/2, all its seeds together.
    """
    count = max(len(ours), len(theirs))
    pairs = [(ours[i % len(ours)], theirs[i % len(theirs)]) for i in range(count)]
    groups = len(pairs[0][0]["samples"])
    random = np.random.default_rng(seed)
    step = max(1, CELLS // groups)
    parts = [
        _differences(pairs, random.integers(0, 2, (min(step, PERMUTATIONS - i), groups)), metric)
        for i in range(0, PERMUTATIONS, step)
    ]
    observed = _differences(pairs, np.zeros((1, groups)), metric)[0]
    return float(observed), np.concatenate(parts)


def welch(ours: np.ndarray, theirs: np.ndarray) -> tuple[float | None, float | None]:
    """Two-sided p, and one-sided p that ours are higher, of Welch's test over the seeds' values.

    A single value is a deterministic method's: the other's seeds are tested against it. (None,
    None) if both are single or nothing varies.
    """
    if max(len(ours), len(theirs)) < 2 or np.ptp(ours) == np.ptp(theirs) == 0:
        return None, None
    if 1 in (len(ours), len(theirs)):
        test, given = stats.ttest_1samp, {"a": ours - theirs, "popmean": 0}
    else:
        test, given = stats.ttest_ind, {"a": ours, "b": theirs, "equal_var": False}
    p = [test(**given, alternative=a).pvalue for a in ("two-sided", "greater")]
    return tuple(float(value) if np.isfinite(value) else None for value in p)


def fisher(p: list[float | None]) -> float | None:
    """Fisher's combined p of independent tests that have one; None if none has."""
    existing = [value for value in p if value is not None]
    return float(stats.combine_pvalues(existing, method="fisher").pvalue) if existing else None


def harmonic(p: list[float]) -> float:
    """One p of tests that may depend on each other: their harmonic mean's (Wilson 2019, Eq. 4).

    The mean of 1 / p of L tests has a Landau distribution, with log L + .874 as location and pi / 2
    as scale, which dependence hardly changes: heavy tails do not add up.
    """
    if len(p) == 1:
        return float(p[0])
    location = np.log(len(p)) + 1 - np.euler_gamma - np.log(2 / np.pi)
    inverse = np.mean(1 / np.maximum(p, np.finfo(float).tiny))
    return float(stats.landau.sf(inverse, loc=location, scale=np.pi / 2))


def holm(p: list[float | None]) -> list[float | None]:
    """Each p corrected for their number, step down (Holm 1979); None stays None, uncounted."""
    order = sorted((value, i) for i, value in enumerate(p) if value is not None)
    corrected, highest = [None] * len(p), 0.0
    for rank, (value, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * value))
        corrected[i] = highest
    return corrected


def share(extreme: int, draws: int) -> float:
    """Share of draws as extreme, the observed one counted too (Phipson and Smyth 2010)."""
    return float((extreme + 1) / (draws + 1))


def _differences(pairs: list[tuple], swaps: np.ndarray, metric: str) -> np.ndarray:
    differences = []
    swaps = swaps.astype(float)
    for one, other in pairs:
        moved = {name: _moved(swaps, other[name] - one[name]) for name in one}
        sides = (
            {name: values.sum(0) + sign * moved[name] for name, values in side.items()}
            for side, sign in ((one, 1), (other, -1))
        )
        ours, theirs = (METRICS[metric].rate(totals) for totals in sides)
        differences.append(ours - theirs)
    return np.mean(differences, axis=0)


def _moved(swaps: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """What changes sides (swaps, k); counts that both methods share cost nothing."""
    if differences.any():
        return swaps @ differences
    return np.zeros((len(swaps), differences.shape[1]))
