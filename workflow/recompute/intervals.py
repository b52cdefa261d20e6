"""Intervals, p and seeds' shares of studies, and their units, from separate resamples of groups."""

from pathlib import Path

import pandas as pd

from recompute import artifacts, cells, resamples, studies, two_way
from recompute.cells import Cell
from recompute.tally import Tally

LEFT = object()  # what is not checked


def intervals(tally: Tally, file: Path, grid: dict) -> None:
    """Intervals of means and of differences to the reference, over groups and seeds."""
    for cell in grid.values():
        for row in cell.rows.to_dict("records"):
            method, metric, base = row["method"], row["metric"], row["reference"]
            place = f"{cell.place} {method} {metric}"
            stated = {name: row[name] for name in ("low", "high", "seed_share")}
            of_mean(tally, file, place, stated, cell, method, metric)
            names = ("low", "high", "p", "seed_share")
            stated = {name: row[f"difference_{name}"] for name in names}
            if base in cell.methods and base != method:
                of_gain(tally, file, f"{place} difference", stated, cell, (method, base), metric)
            else:
                tally.holds(
                    file, f"{place} difference", pd.isna([*stated.values()]).all(), stated, "none"
                )


def of_mean(tally, file: Path, place: str, stated: dict, cell: Cell, method: str, metric: str):
    """The interval of a method's mean."""
    groups = groups_of(tally, cell, metric, method)
    if groups is not LEFT:
        values = cell.values(method, metric)
        seeds = two_way.of_seeds(values)
        two_way.check(tally, file, place, stated, values.mean(), groups, seeds, 0.0)


def of_gain(
    tally: Tally,
    file: Path,
    place: str,
    stated: dict,
    cell: Cell,
    pair: tuple,
    metric: str,
    sign: int = 1,
) -> None:
    """The interval and p of the first method's mean less the second's, `sign` times."""
    groups = groups_of(tally, cell, metric, *pair)
    if groups is not LEFT:
        one, other = (sign * cell.values(method, metric) for method in pair)
        gain = one.mean() - other.mean()
        seeds = two_way.of_seeds(*sides(one, other))
        two_way.check(tally, file, place, stated, gain, groups, seeds)


def sides(one, other) -> list:
    """What each seed gains, or both sides if their seeds cannot be matched."""
    matched = len(one) == len(other) or 1 in (len(one), len(other))
    return [one - other] if matched else [one, other]


def groups_of(tally: Tally, cell: Cell, metric: str, *methods: str) -> list | object | None:
    """Variance over groups of a mean, or of the difference of two, as `two_way.of_groups`.

    LEFT, and counted, if chance decides or this metric is not resampled here.
    """
    try:
        means = replicates(cell, metric, *methods)
        return two_way.of_groups(means, cell.groups.max() + 1, resamples.theirs(cell, metric))
    except (KeyError, two_way.Undecided):
        tally.left += 1
        return LEFT


def replicates(cell: Cell, metric: str, method: str, base: str | None = None):
    """The mean of a method in each resample, or its difference to another's; NaN if there is none.

    The calibration error has no interval.
    """
    means = resamples.replicates(cell, method)
    if metric == "ece":
        return means["macro_ap"] * float("nan")
    if metric not in means and metric not in resamples.MAY_BE_LEFT:
        raise ValueError(f"the audit has no resamples of {metric}: add it to resamples.rates")
    return means[metric] - (0 if base is None else resamples.replicates(cell, base)[metric])


def leaks(tally: Tally, file: Path, grid: dict) -> None:
    """What a random split adds: two means from the study's table, and their difference."""
    leak_file = file.with_suffix(".leak.csv")
    for row in cells.beside(file, "leak").to_dict("records"):
        keys = (row["random"], row["encoder"]), (row["dataset"], row["encoder"])
        method, metric = row["method"], row["metric"]
        pair = [grid[key] for key in keys]
        one, other = (cell.values(method, metric) for cell in pair)
        gain = one.mean() - other.mean()
        expected = {"by_row": one.mean(), "by_group": other.mean(), "difference": gain}
        place = f"{row['dataset']} {method} {metric}"
        for name, value in expected.items():
            tally.equal(leak_file, f"{place} {name}", row[name], value)
        parts = [groups_of(tally, cell, metric, method) for cell in pair]
        if LEFT not in parts:
            both = None if None in parts else parts[0] + parts[1]
            stated = {name: row[name] for name in ("low", "high", "seed_share")}
            seeds = two_way.of_seeds(one, other)
            two_way.check(tally, leak_file, place, stated, gain, both, seeds)


def units(tally: Tally, file: Path, grid: dict) -> None:
    """The unit that every table states for its intervals, by the groups of the test samples."""
    for table in ("", "order", "claims", "tests", "leak"):
        table_file = file if not table else file.with_suffix(f".{table}.csv")
        rows = artifacts.csv(file) if not table else cells.beside(file, table)
        for row in (row for row in rows.to_dict("records") if row["dataset"] != cells.ALL):
            unit = grid[row["dataset"], row["encoder"]].unit
            place = f"{row['dataset']} unit"
            tally.holds(table_file, place, row["unit"] == unit, row["unit"], unit)


CHECKS = [
    studies.of_studies("intervals of studies, own bootstrap", intervals),
    studies.of_studies("random splits against splits by group", leaks),
    studies.of_studies("units of intervals", units),
]
