"""How many seeds it takes to see an effect."""

import math

from scipy import stats

MOST_SEEDS = 10_000


def seeds_needed(effect: float | None, alone: bool = False, power: float = 0.8) -> float | None:
    """Seeds of each method for a two-sided t test at 5% to find this effect with this power.

    effect: Cohen's d. alone: the other method is deterministic, so only one side needs seeds. None
    for no effect; infinite if MOST_SEEDS are not enough.
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
