"""Intervals and p of a mean or a difference: Student's, from its variance over groups and seeds.

Both the stated and the recomputed numbers come from resamples of groups. So the check has a range
instead of one value: those that the variance over groups can give, by the chance in two sets of
resamples. Where the stated numbers imply that variance, they imply each other to the digit.
"""

from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

from recompute.tally import Tally

CHANCE = 4.5  # standard errors that two sets of resamples may differ by
HALF = 0.1  # if this near to half of the resamples have a metric, chance decides
DIGITS = 1e-5  # relative: the error of six digits, and a bit
DECIMALS = 6e-7  # absolute: survival's tables have six decimals
STEPS = 41  # variances over groups that are tried, for each part
BETWEEN = 2e-3  # of a range: between two of them a number may lie so far outside
NOTHING = 1e-24  # a variance of rounding


class Part(NamedTuple):
    """A part of a variance, its degrees of freedom, and the share that it may be off by."""

    variance: float
    freedom: int
    doubt: float = 0.0


def of_groups(replicates: np.ndarray, groups: int, theirs: int) -> list[Part] | None:
    """The part of test groups; None if there is none. Raises Undecided if chance decides."""
    finite = replicates[np.isfinite(replicates)]
    share = len(finite) / len(replicates)
    if groups < 2 or share < 0.5 - HALF:
        return None
    if share < 0.5 + HALF:
        raise Undecided
    error = np.sqrt((_kurtosis(finite) - 1) * (1 / len(finite) + 1 / (theirs * share)))
    return [Part(finite.var() * groups / (groups - 1), groups - 1, CHANCE * error)]


class Undecided(Exception):
    """About half of the resamples have the metric, so others may decide differently."""


def of_seeds(*sides: np.ndarray) -> list[Part]:
    """The parts of seeds: of each seed's gain, or of two sides that cannot be matched."""
    return [Part(side.var(ddof=1) / len(side), len(side) - 1) for side in sides if len(side) > 1]


def check(
    tally: Tally,
    file: Path,
    place: str,
    stated: dict,
    mean: float,
    groups: list[Part] | None,
    seeds: list[Part],
    least: float = -1.0,
) -> None:
    """Compare low, high, p, p_better and seed_share, those of them that are stated.

    least: 0 for a metric, -1 for a difference of two.
    """
    expected = ranges(mean, groups, seeds, least)
    for name, value in stated.items():
        _within(tally, file, f"{place} {name}", value, expected[name])
    if groups is not None and len(groups) == 1:
        follow(tally, file, place, stated, mean, groups[0].freedom, seeds, least)


def follow(
    tally: Tally,
    file: Path,
    place: str,
    stated: dict,
    mean: float,
    freedom: int,
    seeds: list[Part],
    least: float = -1.0,
) -> None:
    """Compare stated low, high and p with each other: one variance gives them all.

    freedom: of the groups. Compares nothing if the stated numbers do not imply that variance.
    """
    groups = _implied(stated, mean, freedom, seeds, least)
    for name in stated if groups else ():
        if name != "seed_share":
            ends = ranges(mean, [groups], seeds, least)[name]
            _within(tally, file, f"{place} {name}, of the other numbers", stated[name], ends)


def ranges(
    mean: float, groups: list[Part] | None, seeds: list[Part], least: float
) -> dict[str, tuple[float, float] | None]:
    """The lowest and highest value of each number; None for what does not exist."""
    if groups is None or not np.isfinite(mean):
        return dict.fromkeys(("low", "high", "p", "p_better", "seed_share"))
    rows = [_student(mean, list(tried), seeds) for tried in product(*map(_doubtful, groups))]
    table = pd.DataFrame(rows).astype(float)
    table["low"], table["high"] = table["low"].clip(lower=least), table["high"].clip(upper=1.0)
    return {name: _ends(table[name]) for name in table}


def _doubtful(part: Part) -> list[Part]:
    """The part with each variance that it may have."""
    scales = np.linspace(max(1e-3, 1 - part.doubt), 1 + part.doubt, STEPS)
    return [part._replace(variance=scale * part.variance) for scale in scales]


def _ends(values: pd.Series) -> tuple[float, float] | None:
    if values.isna().any():
        return None
    beyond = BETWEEN * (values.max() - values.min())
    return values.min() - beyond, values.max() + beyond


def _student(mean: float, groups: list[Part], seeds: list[Part]) -> dict:
    """Each part of the variance has its own Student's t, weighted by its share."""
    parts = groups + seeds
    seed_variance, total = sum(s.variance for s in seeds), sum(p.variance for p in parts)
    if total < NOTHING:
        return {"low": mean, "high": mean, "seed_share": None} | _sign_test(mean, groups[0].freedom)
    error = np.sqrt(total)
    reach = _reach(parts, total) * error
    better, p = _beyond(mean / error, parts, total), 2 * _beyond(abs(mean) / error, parts, total)
    numbers = {"low": mean - reach, "high": mean + reach, "p": p, "p_better": better}
    return numbers | {"seed_share": seed_variance / total if seeds else None}


def _beyond(t: float, parts: list[Part], total: float) -> float:
    """Probability of more than t standard errors."""
    return sum(part.variance / total * special.stdtr(part.freedom, -t) for part in parts)


def _reach(parts: list[Part], total: float) -> float:
    """Standard errors beyond which 2.5% lie, by bisection: 60 steps, to the last digit."""
    least, most = 0.0, 1e3
    for _ in range(60):
        middle = (least + most) / 2
        inside = _beyond(middle, parts, total) > 0.025
        least, most = (middle, most) if inside else (least, middle)
    return (least + most) / 2


def _sign_test(mean: float, freedom: int) -> dict:
    """p of a gain that is the same in every group."""
    if abs(mean) < 1e-12:
        return {"p": 1.0, "p_better": 0.5}
    p = stats.binomtest(freedom + 1, freedom + 1).pvalue
    return {"p": p, "p_better": p / 2 if mean > 0 else 1 - p / 2}


def _implied(
    stated: dict, mean: float, freedom: int, seeds: list[Part], least: float
) -> Part | None:
    """The variance over groups that the stated seeds' share implies, or else the interval."""
    if pd.isna(stated["low"]):
        return None
    seed_variance, share = sum(part.variance for part in seeds), stated["seed_share"]
    if seed_variance > NOTHING:
        if not 0 < share < 1:
            return None
        doubt = 10 * DIGITS + DIGITS / (1 - share)
        return Part(seed_variance * (1 - share) / share, freedom, doubt)
    reach = max(mean - stated["low"], stated["high"] - mean)  # of the side that is not cut
    cut = stated["low"] <= least and stated["high"] >= 1
    if cut or reach <= 1e-4:
        return None
    variance = (reach / stats.t.ppf(0.975, freedom)) ** 2
    return Part(variance, freedom, 10 * DIGITS + 4 * DIGITS / reach)


def _within(tally: Tally, file: Path, what: str, value: float | None, ends: tuple | None) -> None:
    expected = "no value" if ends is None else f"{ends[0]:.6g} to {ends[1]:.6g}"
    if ends is None or pd.isna(value):
        tally.holds(file, what, ends is None and pd.isna(value), value, expected)
        return
    off = DIGITS * abs(value) + (DECIMALS if file.parent.name == "survival" else 1e-9)
    agrees = ends[0] - off <= value <= ends[1] + off
    tally.holds(file, what, agrees, f"{value:.6g}", expected)


def _kurtosis(values: np.ndarray) -> float:
    """At least 3, as of a normal distribution; of constant values 3."""
    return max(3.0, float(stats.kurtosis(values, fisher=False))) if np.ptp(values) > 1e-12 else 3.0
