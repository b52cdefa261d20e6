"""p-values of studies: own permutations, SciPy's Welch, and what is made of them."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from recompute import cells, resamples, studies
from recompute.cells import Cell
from recompute.tally import Tally

DRAWS = 20_000
THEIRS = 4_999  # draws behind a stated p
CHANCE = 4.5  # standard errors that two sets of draws may differ by
ALL = "*"  # dataset and encoder of rows that combine all cells


def tests(tally: Tally, file: Path, found: dict) -> None:
    """p over groups within the chance of draws; p over seeds, Holm's and Fisher's to the digit."""
    table = cells.beside(file, "tests")
    if table.empty:
        return
    own = file.with_suffix(".tests.csv")
    for row in table[table["dataset"] != ALL].to_dict("records"):
        _of_cell(tally, own, found[row["dataset"], row["encoder"]], row)
    _holm(tally, own, table[table["dataset"] != ALL])
    _fisher(tally, own, table)


def _of_cell(tally: Tally, file: Path, cell: Cell, row: dict) -> None:
    metric, method, base = row["metric"], row["method"], row["reference"]
    place = f"{cell.dataset} {cell.column} {method}"
    one, other = (cells.sign(metric) * cell.values(name, metric) for name in (method, base))
    tally.equal(file, f"{place} gain", row["gain"], one.mean() - other.mean())
    for name, side in (("p_seeds", "two-sided"), ("p_seeds_better", "greater")):
        tally.equal(file, f"{place} {name}", row[name], _welch(one, other, side))
    if row["test"] == "permutation":
        found = permutation(cell, method, base, metric)
        for name, p in zip(("p", "p_better"), found, strict=True):
            fits = not pd.isna(row[name]) and abs(row[name] - p) <= _chance(p)
            tally.holds(file, f"{place} {name}", fits, f"{row[name]:.4f}", f"{p:.4f}")


def permutation(cell: Cell, method: str, base: str, metric: str) -> tuple[float, float]:
    """Two-sided p and p that the method is better, groups changing sides at random."""
    groups, tests = cell.groups, cell.tests
    ours, theirs = ([_sums(test, groups) for test in tests[name]] for name in (method, base))
    pairs = max(len(ours), len(theirs))
    swaps = np.random.default_rng(resamples.SEED).integers(0, 2, (DRAWS, groups.max() + 1))
    swaps[0] = 0
    task, found = tests[method][0].task, np.zeros(DRAWS)
    for i in range(pairs):
        one, other = ours[i % len(ours)], theirs[i % len(theirs)]
        moved = {name: swaps @ (other[name] - one[name]) for name in one}
        sides = (
            {name: side[name].sum(0) + way * moved[name] for name in side}
            for side, way in ((one, 1), (other, -1))
        )
        a, b = (resamples.rates(counts, task)[metric] for counts in sides)
        found += cells.sign(metric) * (a - b) / pairs
    extreme = np.abs(found) >= abs(found[0]) - 1e-12
    return float(extreme.mean()), float((found >= found[0] - 1e-12).mean())


def _sums(test, groups: np.ndarray) -> dict[str, np.ndarray]:
    counts = resamples.counted(test)
    return {name: resamples.of_groups(values, groups) for name, values in counts.items()}


def _welch(one: np.ndarray, other: np.ndarray, side: str) -> float | None:
    """A method of one value has no chance: the other's seeds are tested against it."""
    single = sorted((len(one), len(other)))
    if single[1] < 2 or (np.ptp(one) == 0 and np.ptp(other) == 0):
        return None
    if single[0] == 1:
        p = stats.ttest_1samp(one - other, 0, alternative=side).pvalue
    else:
        p = stats.ttest_ind(one, other, equal_var=False, alternative=side).pvalue
    return float(p) if np.isfinite(p) else None


def _chance(p: float) -> float:
    spread = np.sqrt(max(p * (1 - p), 1 / THEIRS) * (1 / THEIRS + 1 / DRAWS))
    return float(CHANCE * spread)


def _holm(tally: Tally, file: Path, table: pd.DataFrame) -> None:
    """Step down over the comparisons of a dataset (Holm 1979), from the stated p."""
    for dataset, rows in table.groupby("dataset", sort=False):
        known = rows["p"].dropna().sort_values(kind="stable")
        steps = known.to_numpy() * np.arange(len(known), 0, -1)
        corrected = pd.Series(np.minimum(1, np.maximum.accumulate(steps)), known.index)
        for row, p in corrected.items():
            place = f"{dataset} {rows.loc[row, 'encoder']} {rows.loc[row, 'method']} p_holm"
            tally.equal(file, place, rows.loc[row, "p_holm"], p)


def _fisher(tally: Tally, file: Path, table: pd.DataFrame) -> None:
    """Combined p of the cells: chi-squared of -2 sum log p; cells are as many as the row says."""
    alone = table[table["dataset"] != ALL]
    for row in table[table["dataset"] == ALL].to_dict("records"):
        parts = alone[alone["method"] == row["method"]]
        if len(parts) != row["cells"]:
            continue  # without random splits of datasets that are also split by group
        for name in ("p_better", "p_seeds_better"):
            p = parts[name].to_numpy(float)
            combined = (
                None if np.isnan(p).any() else stats.chi2.sf(-2 * np.log(p).sum(), 2 * len(p))
            )
            tally.equal(file, f"{row['method']} combined {name}", row[name], combined)


CHECKS = [studies.of_studies("p-values of studies", tests)]
