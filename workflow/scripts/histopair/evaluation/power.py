"""How likely a gain is to be seen, and how many seeds it takes.

A gain is seen if its 95% interval over test groups and trainings (`two_way`) lies above 0. More
seeds make the part of trainings smaller and leave that of groups as it is. So a gain that is small
beside the spread of groups is not seen with any number of seeds: it takes more patients.
"""

import math

import numpy as np
from scipy import stats
from scipy.special import ndtr

from histopair.evaluation import two_way

MOST_SEEDS = 10_000
NODES = 64  # of each variance, which is an estimate itself


def of_gain(
    gain: float, groups: list[tuple[float, int]], seeds: list[tuple[float, int]], n: int
) -> float:
    """Probability that the interval of a true gain lies above 0, with n seeds (2 or more) a method.

    groups, seeds: the parts of the variance of the mean gain, as `two_way.parts` returns them. The
    estimate is normal; the two variances that make the interval are independent multiples of
    chi-squared with their degrees of freedom, of which NODES quantiles each stand for all.
    """
    of_groups, freedom = _sum(groups), groups[0][1]
    of_seeds = _each_seed(seeds) / n
    estimated = _spread(of_groups, freedom)[:, None], _spread(of_seeds, n - 1)[None]
    error = np.sqrt(sum(estimated))
    reach = two_way.quantiles(estimated[1] / error**2, freedom, n - 1) * error
    return float(ndtr((gain - reach) / math.sqrt(of_groups + of_seeds)).mean())


def seeds_needed(
    gain: float, groups: list | None, seeds: list[tuple[float, int]], power: float = 0.8
) -> float | None:
    """Seeds of each method that see this gain with this power, on as many test groups as there are.

    gain: of either sign. groups, seeds: as in `of_gain`. None for no gain, without groups, and
    where no training varies; infinite if MOST_SEEDS are not enough.
    """
    if not gain or groups is None or _sum(seeds) < two_way.ROUNDING**2:
        return None
    low, high = 1, 2
    while of_gain(abs(gain), groups, seeds, high) < power:
        low, high = high, 2 * high
        if low > MOST_SEEDS:
            return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        enough = of_gain(abs(gain), groups, seeds, middle) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def _sum(parts: list[tuple[float, int]]) -> float:
    return sum(part for part, _ in parts)


def _each_seed(seeds: list[tuple[float, int]]) -> float:
    """The variance of one seed's gain: each part is that of a mean over degrees of freedom + 1."""
    return sum(part * (freedom + 1) for part, freedom in seeds)


def _spread(variance: float, freedom: int) -> np.ndarray:
    """NODES equally likely estimates of a variance."""
    shares = (np.arange(NODES) + 0.5) / NODES
    return variance * stats.chi2.ppf(shares, freedom) / freedom
