"""Tests of studies: both halves of the two-way test, effects, and corrected and combined p."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import integrate, special, stats
from scipy.sparse import csgraph

from recompute import artifacts, cells, intervals, resamples, studies, two_way
from recompute.cells import Cell
from recompute.tally import PRINTED, Tally

DRAWS = 20_000
THEIRS = 4_999  # draws behind a stated p
POWER, POINT, MOST = 0.8, 0.01, 10_000  # for the seeds needed: power, a gain of one point, limit
CLOSE = 2e-3  # of a power: both are sums over some values of what is estimated
NO_SHARE = 1e-12  # of the variance, for seeds that do not vary


def tests(tally: Tally, file: Path, grid: dict) -> None:
    """Drawn values must agree within the chance of draws; what follows from them, to the digit."""
    table = cells.beside(file, "tests")
    if table.empty:
        return
    test_file = file.with_suffix(".tests.csv")
    for row in table[table["dataset"] != cells.ALL].to_dict("records"):
        _of_cell(tally, test_file, grid[row["dataset"], row["encoder"]], row)
    _holm(tally, test_file, table[table["dataset"] != cells.ALL])
    leaky = cells.beside(file, "leak")
    random = {*leaky["random"]} if len(leaky) else set()
    _together(tally, test_file, table, random, _families(list(grid.values())))


def _of_cell(tally: Tally, file: Path, cell: Cell, row: dict) -> None:
    metric, method, base = row["metric"], row["method"], row["reference"]
    place = f"{cell.place} {method}"
    one, other = (cells.sign(metric) * cell.values(name, metric) for name in (method, base))
    tally.equal(file, f"{place} gain", row["gain"], one.mean() - other.mean())
    for name, side in (("p_seeds", "two-sided"), ("p_seeds_better", "greater")):
        tally.equal(file, f"{place} {name}", row[name], _welch(one, other, side))
    stated = {name: row[name] for name in ("low", "high", "p", "p_better", "seed_share")}
    pair, sign = (method, base), cells.sign(metric)
    intervals.of_gain(tally, file, place, stated, cell, pair, metric, sign)
    same = cell.rows[(cell.rows["method"] == method) & (cell.rows["metric"] == metric)].iloc[0]
    tally.equal(file, f"{place} p, of the study's table", row["p"], same["difference_p"])
    _over_groups(tally, file, place, cell, row)
    _over_seeds(tally, file, place, row, one, other)


def _over_groups(tally: Tally, file: Path, place: str, cell: Cell, row: dict) -> None:
    """p for the models as they are, and the gain in standard deviations of groups."""
    metric, method, base = row["metric"], row["method"], row["reference"]
    parts = intervals.groups_of(tally, cell, metric, method, base)
    if parts is intervals.LEFT:
        return
    if parts is None:
        tally.holds(file, f"{place} p_groups", pd.isna(row["p_groups"]), row["p_groups"], "none")
        return
    replicates = intervals.replicates(cell, metric, method, base)
    if row["test_groups"] == "permutation":
        p, draws = permutation(cell, method, base, metric), THEIRS
    else:
        finite = replicates[np.isfinite(replicates)]
        p = min(1.0, 2 * min((finite <= 0).mean(), (finite >= 0).mean()))
        draws = resamples.theirs(cell, metric)
    fits = not pd.isna(row["p_groups"]) and abs(row["p_groups"] - p) <= _chance(p, draws)
    tally.holds(file, f"{place} p_groups", fits, f"{row['p_groups']:.4f}", f"{p:.4f}")
    spread = np.nanstd(replicates) * np.sqrt(cell.groups.max() + 1)
    effect = row["gain"] / spread if spread > 1e-12 else None
    most = parts[0].doubt * abs(effect or 0)
    tally.holds(
        file,
        f"{place} effect_groups",
        pd.isna(row["effect_groups"])
        if effect is None
        else abs(row["effect_groups"] - effect) <= most + 1e-6,
        row["effect_groups"],
        effect,
    )


def _over_seeds(tally: Tally, file: Path, place: str, row: dict, one, other) -> None:
    """The gain in standard deviations of seeds, and how many seeds would see it."""
    spreads = [side.var(ddof=1) for side in (one, other) if len(side) > 1]
    deviation = np.sqrt(np.mean(spreads)) if spreads else 0.0
    gain = one.mean() - other.mean()
    effect = gain / deviation if deviation else None
    tally.equal(file, f"{place} effect_seeds", row["effect_seeds"], effect)
    for name, size in (("seeds_for_gain", gain), ("seeds_for_point", POINT)):
        needed, share = row[name], row["seed_share"]
        if not size or pd.isna(share) or share < NO_SHARE:
            tally.equal(file, f"{place} {name}", needed, None)
        else:
            parts = two_way.of_seeds(*intervals.sides(one, other))
            agrees = _enough(abs(size), needed, parts, row["n_groups"] - 1, share)
            tally.holds(file, f"{place} {name}", agrees, needed, "another number")


def _enough(gain: float, needed: float, seeds: list, freedom: int, share: float) -> bool:
    """Whether this many seeds have the power and one less do not; beyond MOST it is infinite.

    The variance over groups is what the stated share of the seeds leaves.
    """
    of_groups = sum(part.variance for part in seeds) * (1 - share) / share
    each = sum(part.variance * (part.freedom + 1) for part in seeds)

    def power(n: int) -> float:
        return _power(gain, of_groups, freedom, each / n, n - 1)

    if np.isinf(needed):
        return power(MOST) < POWER + CLOSE
    fewer = needed <= 2 or power(int(needed) - 1) < POWER + CLOSE
    return bool(power(int(needed)) > POWER - CLOSE and fewer)


def _power(gain: float, of_groups: float, groups: int, of_seeds: float, seeds: int) -> float:
    """How often the interval of a true gain lies above 0, by Gauss's nodes for both estimates.

    of_groups, of_seeds: true variances; groups, seeds: degrees of freedom of their estimates.
    """
    nodes, weights = np.polynomial.legendre.leggauss(60)
    nodes, weights = (nodes + 1) / 2, weights / 2
    first = (of_groups * stats.chi2.ppf(nodes, groups) / groups)[:, None]
    second = (of_seeds * stats.chi2.ppf(nodes, seeds) / seeds)[None]
    share, error = second / (first + second), np.sqrt(first + second)
    low, high = np.zeros(share.shape), np.full(share.shape, 1e3)
    for _ in range(40):
        middle = (low + high) / 2
        beyond = share * special.stdtr(seeds, -middle) + (1 - share) * special.stdtr(
            groups, -middle
        )
        low, high = np.where(beyond > 0.025, middle, low), np.where(beyond > 0.025, high, middle)
    above = stats.norm.sf((low * error - gain) / np.sqrt(of_groups + of_seeds))
    return float(weights @ above @ weights)


def permutation(cell: Cell, method: str, base: str, metric: str) -> float:
    """Two-sided p, with groups that change sides at random."""
    groups, tests = cell.groups, cell.tests
    ours, theirs = ([_sums(test, groups) for test in tests[name]] for name in (method, base))
    pairs = max(len(ours), len(theirs))
    swaps = np.random.default_rng(resamples.SEED).integers(0, 2, (DRAWS, groups.max() + 1))
    swaps[0] = 0
    task, gains = tests[method][0].task, np.zeros(DRAWS)
    for i in range(pairs):
        one, other = ours[i % len(ours)], theirs[i % len(theirs)]
        moved = {name: swaps @ (other[name] - one[name]) for name in one}
        sides = (
            {name: side[name].sum(0) + way * moved[name] for name in side}
            for side, way in ((one, 1), (other, -1))
        )
        a, b = (resamples.rates(counts, task)[metric] for counts in sides)
        gains += cells.sign(metric) * (a - b) / pairs
    return float((np.abs(gains) >= abs(gains[0]) - 1e-12).mean())


def _sums(test, groups: np.ndarray) -> dict[str, np.ndarray]:
    counts = resamples.counted(test)
    return {name: resamples.of_groups(values, groups) for name, values in counts.items()}


def _welch(one: np.ndarray, other: np.ndarray, side: str) -> float | None:
    """A method with one value has no chance: the other's seeds are tested against that value."""
    single = sorted((len(one), len(other)))
    if single[1] < 2 or (np.ptp(one) == 0 and np.ptp(other) == 0):
        return None
    if single[0] == 1:
        p = stats.ttest_1samp(one - other, 0, alternative=side).pvalue
    else:
        p = stats.ttest_ind(one, other, equal_var=False, alternative=side).pvalue
    return float(p) if np.isfinite(p) else None


def _chance(p: float, draws: int) -> float:
    """How far a stated p from so many draws may be off; twice that if it is twice a share."""
    twice, our_draws = (1, DRAWS) if draws == THEIRS else (2, resamples.RANKED)
    spread = np.sqrt(max(p * (1 - p), 1 / draws) * (1 / draws + 1 / our_draws))
    return float(twice * (two_way.CHANCE * spread + 1 / draws))


def _holm(tally: Tally, file: Path, table: pd.DataFrame) -> None:
    """Step down over the comparisons of a dataset (Holm 1979), from the stated p."""
    for dataset, rows in table.groupby("dataset", sort=False):
        ordered = rows["p"].dropna().sort_values(kind="stable")
        steps = ordered.to_numpy() * np.arange(len(ordered), 0, -1)
        corrected = pd.Series(np.minimum(1, np.maximum.accumulate(steps)), ordered.index)
        for row, p in corrected.items():
            place = f"{dataset} {rows.loc[row, 'encoder']} {rows.loc[row, 'method']} p_holm"
            tally.equal(file, place, rows.loc[row, "p_holm"], p)


def _families(grid: list[Cell]) -> dict[str, int]:
    """A number for each dataset: the same for those of one base or with common test samples."""
    names = list(dict.fromkeys(cell.dataset for cell in grid))
    held = [set() for _ in names]
    for cell in grid:
        entry = artifacts.metadata(cell.labels).get("params", {}).get("entry", {})
        mine = held[names.index(cell.dataset)]
        mine |= {("base", entry.get("of", cell.dataset)), *cell.tests[cell.methods[0]][0].ids}
    common = np.array([[bool(one & other) for other in held] for one in held])
    return dict(zip(names, csgraph.connected_components(common)[1], strict=True))


def _together(
    tally: Tally, file: Path, table: pd.DataFrame, leaky: set[str], families: dict[str, int]
) -> None:
    """Combined p of the cells that have one.

    leaky: random splits of datasets that are also split by group. They do not count.
    """
    together = table[table["dataset"] == cells.ALL].set_index("method")
    alone = table[(table["dataset"] != cells.ALL) & ~table["dataset"].isin(leaky)]
    for method, parts in alone.groupby("method", sort=False):
        stated = method in together.index
        tally.holds(file, f"{method} combined", stated == (len(parts) > 1), stated, len(parts))
        if not stated:
            continue
        row, tested = together.loc[method], parts[parts["p_better"].notna()]
        tally.equal(file, f"{method} combined cells", row["cells"], len(tested))
        gain = tested["gain"].mean() if len(tested) else None
        tally.equal(file, f"{method} combined gain", row["gain"], gain, 2 * PRINTED)
        for name in ("p_better", "p_seeds_better"):
            combined = _combined(parts.dropna(subset=name), name, families)
            most = 1e-5 * (combined or 0)
            tally.equal(file, f"{method} combined {name}", row[name], combined, most)


def _combined(parts: pd.DataFrame, name: str, families: dict[str, int]) -> float | None:
    """Of each family one p, then chi-squared of -2 sum log p (Fisher 1932)."""
    of = parts["dataset"].map(families)
    p = np.array([_of_dependent(one.to_numpy(float)) for _, one in parts[name].groupby(of)])
    return stats.chi2.sf(-2 * np.log(p).sum(), 2 * len(p)) if len(p) else None


def _of_dependent(p: np.ndarray) -> float:
    """How often the mean of L numbers 1 / U, U uniform, exceeds that of 1 / p, for large L.

    Such a mean is log L + 1 - gamma + X with E exp(-sX) = s^s, X of Landau. The inverse transform
    gives P(X > x) = 1/pi of the integral over t > 0 of t^-t exp(-xt) sin(pi t) / t.
    """
    if len(p) == 1:
        return float(p[0])
    beyond = np.mean(1 / p) - np.log(len(p)) - 1 + np.euler_gamma
    unit = 1 + abs(beyond)  # of 1 / t: where the integrand is, however small p

    def integrand(t: float) -> float:
        scaled = t / unit
        return np.exp(-special.xlogy(scaled, scaled) - beyond * scaled) * np.sinc(scaled) / unit

    ends = np.linspace(0, 60 * unit, 241) if beyond < 30 else np.linspace(0, 60, 241)
    least = 1e-13 / unit  # the sum is at least of the order of 1 / unit
    parts = (integrate.quad(integrand, *piece, epsabs=least) for piece in pairwise(ends))
    return float(sum(value for value, _ in parts))


CHECKS = [studies.of_studies("tests of studies", tests)]
