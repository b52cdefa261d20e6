"""How sure a mean or a difference is: for other test groups and other trainings, both at once.

Test groups (patients, videos) and seeds are two crossed samples of what could have been. The
variance of a mean over both is taken as the sum of two: over resamples of the groups, of the mean
over seeds (`bootstrap`), and over the seeds, of their values on all groups, divided by their number
(n - 1 in the denominator). What varies with groups and seeds together counts in both, which makes
intervals rather too wide, as resampling both does (Owen 2007, The pigeonhole bootstrap). Three
seeds say little about their own spread: resampling them understates it by a third, and percentiles
ignore that it is a guess. So p is Student's, for each part with its own degrees of freedom (2 for
three seeds, G - 1 for G groups), weighted by the part's share of the variance (the weights of
Cochran 1964), and the interval holds the values with p above 0.05. One t with Satterthwaite's
degrees of freedom would do for intervals, but not for small p, which Holm and Fisher read: if three
seeds are nine tenths of the variance, it gives p < 0.001 in 1.3% of cases without any difference.
benchmarks/coverage.py measures how often the intervals hold the truth.

A part of the variance is (variance, degrees of freedom); one run alone has none over seeds.
"""

import math
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

LEVEL = 0.95
ROUNDING = 1e-12  # a smaller spread counts as none
STEPS = 65  # of the shares for which `quantiles` computes one
NOTHING = {"low": None, "high": None, "p": None, "p_better": None, "seed_share": None}


def of_mean(values: np.ndarray, replicates: np.ndarray, groups: int) -> dict:
    """low, high (within [0, 1]) and seed_share of a method's mean, as `judge`; no p.

    values: (S,), the metric of each seed; replicates: (S, R), the same in R resamples of `groups`.
    """
    sure = judge(values.mean(), over_groups(replicates, groups), over_seeds(values))
    low = sure["low"] and max(0.0, sure["low"])
    return NOTHING | {"low": low, "high": sure["high"], "seed_share": sure["seed_share"]}


def of_difference(ours: tuple, theirs: tuple, groups: int) -> dict:
    """How sure it is that ours are higher, as `judge`; each side is (values, replicates).

    Both sides see the same resamples. Seeds are paired if both sides have equally many; one run
    alone is compared with each seed of the other; otherwise the seeds of both vary independently.
    """
    return judge(ours[0].mean() - theirs[0].mean(), *parts(ours, theirs, groups))


def parts(ours: tuple, theirs: tuple, groups: int) -> tuple[list | None, list]:
    """The parts of the variance of a difference: of groups (`over_groups`), and of seeds."""
    replicates = over_runs(ours[1]) - over_runs(theirs[1])
    return over_groups(replicates, groups), _over_both_seeds(ours, theirs)


def of_unpaired(ours: tuple, theirs: tuple, groups: tuple[int, int]) -> dict:
    """The same for two sides on different test samples: nothing of them is paired."""
    gain = ours[0].mean() - theirs[0].mean()
    of_seeds = over_seeds(ours[0]) + over_seeds(theirs[0])
    return judge(gain, _over_both_groups(ours, theirs, groups), of_seeds)


def of_same_runs(ours: tuple, theirs: tuple, groups: tuple[int, int]) -> dict:
    """The same for one method's trainings on two sets of test groups: only seeds are paired."""
    gain = ours[0].mean() - theirs[0].mean()
    of_groups = _over_both_groups(ours, theirs, groups)
    return judge(gain, of_groups, _over_both_seeds(ours, theirs))


def _over_both_groups(ours: tuple, theirs: tuple, groups: tuple[int, int]) -> list | None:
    one, other = (
        over_groups(side[1], count) for side, count in zip((ours, theirs), groups, strict=True)
    )
    return one + other if one and other else None


def _over_both_seeds(ours: tuple, theirs: tuple) -> list[tuple[float, int]]:
    seeds = paired(ours[0], theirs[0])
    varying = [ours[0], theirs[0]] if seeds is None else [seeds]
    return [part for values in varying for part in over_seeds(values)]


def paired(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray | None:
    """The difference of each seed (S,); None where seeds cannot be matched."""
    if len(ours) == len(theirs) or 1 in (len(ours), len(theirs)):
        return ours - theirs
    return None


def over_groups(replicates: np.ndarray, groups: int) -> list[tuple[float, int]] | None:
    """Variance of the mean over seeds between resamples, as a list of one part.

    replicates: (S, R) or (R,). None for fewer than two groups, and if the metric exists in fewer
    than half of the resamples. A bootstrap of G groups understates by (G - 1) / G.
    """
    means = over_runs(replicates)
    existing = means[np.isfinite(means)]
    if groups < 2 or len(existing) < max(2, len(means) / 2):
        return None
    return [(float(existing.var()) * groups / (groups - 1), groups - 1)]


def over_seeds(values: np.ndarray) -> list[tuple[float, int]]:
    """Variance of the mean of S seeds' values, as a list of one part; of none for one seed."""
    count = len(values)
    return [(float(values.var(ddof=1)) / count, count - 1)] if count > 1 else []


def judge(mean: float, groups: list | None, seeds: list) -> dict:
    """The 95% interval of a mean, and p against 0, from the parts of its variance.

    Returns low, high (within [-1, 1]), p (two-sided), p_better (one-sided: above 0), seed_share
    (the share of the variance that is the seeds'; None for one run). All are None without groups.
    If nothing varies, there is no interval: that a resample of the same groups brings nothing new
    says nothing of others. p is then that of G groups which all have its sign.
    """
    if groups is None or not math.isfinite(mean):
        return dict(NOTHING)
    variance = sum(part for part, _ in groups + seeds)
    if variance < ROUNDING**2:
        return NOTHING | _constant(mean, groups[0][1])
    error = math.sqrt(variance)
    shares = [(part / variance, df) for part, df in groups + seeds]
    reach = _quantile(shares) * error
    return {
        "low": float(max(-1.0, mean - reach)),
        "high": float(min(1.0, mean + reach)),
        "p": 2 * tail(abs(mean) / error, shares),
        "p_better": tail(mean / error, shares),
        "seed_share": sum(part for part, _ in seeds) / variance if seeds else None,
    }


def tail(t: float, shares: list[tuple[float, int]]) -> float:
    """Probability of more than t standard errors; shares: (of the variance, df) of each part."""
    return float(sum(share * stdtr(df, -t) for share, df in shares))


def _quantile(shares: list[tuple[float, int]]) -> float:
    """The t whose tail is 2.5%, which lies between those of the parts."""
    beyond = (1 - LEVEL) / 2
    ends = [float(stdtrit(df, 1 - beyond)) for _, df in shares]
    return brentq(lambda t: tail(t, shares) - beyond, 0.99 * min(ends), 1.01 * max(ends))


def quantiles(shares: np.ndarray, groups: int, seeds: int) -> np.ndarray:
    """`_quantile` of many variances at once, within a thousandth of it.

    shares: of the seeds, any shape; groups, seeds: degrees of freedom of the two parts.
    """
    return np.interp(shares, *_grid(groups, seeds))


@cache
def _grid(groups: int, seeds: int) -> tuple[np.ndarray, list[float]]:
    """Shares of the seeds, closest near 0, and the quantile at each."""
    shares = np.linspace(0, 1, STEPS) ** 2
    return shares, [_quantile([(1 - share, groups), (share, seeds)]) for share in shares]


def _constant(mean: float, freedom: int) -> dict:
    """The sign test of a difference that is the same in all groups."""
    if abs(mean) < ROUNDING:
        return {"p": 1.0, "p_better": 0.5}
    half = 0.5 ** (freedom + 1)
    return {"p": 2 * half, "p_better": half if mean > 0 else 1 - half}


def over_runs(replicates: np.ndarray) -> np.ndarray:
    """The mean over seeds in each resample, (R,), of replicates (S, R) or (R,)."""
    return np.atleast_2d(replicates).mean(0)
