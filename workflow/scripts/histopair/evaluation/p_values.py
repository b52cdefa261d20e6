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

    ours, theirs: for each seed the counts of each group (`Labels.group_counts`); where one side
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
        _differences(pairs, random.integers(0, 2, (min(step, PERMUTATIONS - i), groups)), metric)
        for i in range(0, PERMUTATIONS, step)
    ]
    observed = _differences(pairs, np.zeros((1, groups)), metric)[0]
    return float(observed), np.concatenate(parts)


def welch(ours: np.ndarray, theirs: np.ndarray) -> tuple[float | None, float | None]:
    """Two-sided p, and one-sided p that ours are higher, of Welch's test over the seeds' values.

    A single value is a deterministic method's: the other's seeds are tested against it. (None,
    None) where both are single or nothing varies.
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


def fisher(p: list[float | None]) -> float | None:
    """Fisher's combined p of independent tests; None is left out, and None is the p of nothing."""
    known = [value for value in p if value is not None]
    return float(stats.combine_pvalues(known, method="fisher").pvalue) if known else None


def holm(p: list[float | None]) -> list[float | None]:
    """p corrected for their number, step down (Holm 1979); None stays None and is not counted."""
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
    found = []
    swaps = swaps.astype(float)
    for one, other in pairs:
        moved = {name: _moved(swaps, other[name] - one[name]) for name in one}
        sides = (
            {name: values.sum(0) + sign * moved[name] for name, values in side.items()}
            for side, sign in ((one, 1), (other, -1))
        )
        ours, theirs = (METRICS[metric].rate(totals) for totals in sides)
        found.append(ours - theirs)
    return np.mean(found, axis=0)


def _moved(swaps: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """What changes sides (swaps, k); most counts are common to both methods, and cost nothing."""
    if differences.any():
        return swaps @ differences
    return np.zeros((len(swaps), differences.shape[1]))
