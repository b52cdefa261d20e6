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
HALVINGS = 40  # of an interval of a few standard errors, to twelve digits
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
    if groups is None:
        return
    ends = ranges(mean, [groups], seeds, least)
    for name in (name for name in stated if name != "seed_share"):
        _within(tally, file, f"{place} {name}, of the other numbers", stated[name], ends[name])


def ranges(
    mean: float, groups: list[Part] | None, seeds: list[Part], least: float
) -> dict[str, tuple[float, float] | None]:
    """The lowest and highest value of each number; None for what does not exist."""
    if groups is None or not np.isfinite(mean):
        return dict.fromkeys(("low", "high", "p", "p_better", "seed_share"))
    tried = [*map(_doubtful, groups), *([part.variance] for part in seeds)]
    variances = np.array([*product(*tried)])
    freedoms = np.array([part.freedom for part in (*groups, *seeds)])
    nothing = variances.sum(axis=1) < NOTHING
    with np.errstate(invalid="ignore", divide="ignore"):  # of variances that are zero
        table = _student(mean, variances, freedoms, len(seeds))
    constant = _constant(mean, groups[0].freedom) if nothing.any() else {}
    for name, value in constant.items():
        table[name] = np.where(nothing, value, table[name])
    table["low"], table["high"] = table["low"].clip(min=least), table["high"].clip(max=1.0)
    return {name: _ends(values) for name, values in table.items()}


def _doubtful(part: Part) -> np.ndarray:
    """Each variance that the part may have."""
    return part.variance * np.linspace(max(1e-3, 1 - part.doubt), 1 + part.doubt, STEPS)


def _ends(values: np.ndarray) -> tuple[float, float] | None:
    if np.isnan(values).any():
        return None
    beyond = BETWEEN * np.ptp(values)
    return values.min() - beyond, values.max() + beyond


def _student(
    mean: float, variances: np.ndarray, freedoms: np.ndarray, seeds: int
) -> dict[str, np.ndarray]:
    """Each number by rows of variances, whose last columns are of seeds.

    Each part of a variance has its own Student's t, weighted by its share.
    """
    total = variances.sum(axis=1, keepdims=True)
    shares, error = variances / total, np.sqrt(total[:, 0])
    reach = _reach(shares, freedoms) * error
    better, p = (_beyond(t / error, shares, freedoms) for t in (mean, abs(mean)))
    of_seeds = shares[:, -seeds:].sum(axis=1) if seeds else np.full(len(shares), np.nan)
    numbers = {"low": mean - reach, "high": mean + reach, "p": 2 * p, "p_better": better}
    return numbers | {"seed_share": of_seeds}


def _beyond(t: np.ndarray, shares: np.ndarray, freedoms: np.ndarray) -> np.ndarray:
    """Probability of more than t standard errors."""
    return (shares * special.stdtr(freedoms, -t[:, None])).sum(axis=1)


def _reach(shares: np.ndarray, freedoms: np.ndarray) -> np.ndarray:
    """Standard errors beyond which 2.5% lie: between those of single parts, by bisection."""
    alone = special.stdtrit(freedoms, 0.975)
    least, most = (np.full(len(shares), end) for end in (alone.min(), alone.max()))
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        inside = _beyond(middle, shares, freedoms) > 0.025
        least, most = np.where(inside, middle, least), np.where(inside, most, middle)
    return (least + most) / 2


def _constant(mean: float, freedom: int) -> dict:
    """The numbers of a gain that hardly varies: no interval, which would be one point."""
    return dict.fromkeys(("low", "high", "seed_share"), np.nan) | _sign_test(mean, freedom)


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
