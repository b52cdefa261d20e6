"""Steps of orders and claims of studies: gains, seeds that agree, intervals and verdicts."""

from pathlib import Path

import pandas as pd

from recompute import cells, intervals, studies
from recompute.cells import Cell
from recompute.tally import Tally

MARGIN = 0.01  # of a claim of no gain that names none
UNDECIDED = "not decided"
STATED = ("low", "high", "p", "seed_share")


def verdicts(tally: Tally, file: Path, grid: dict) -> None:
    """A verdict follows from the interval; there is none if a run has not converged."""
    for table, check in (("order", _order), ("claims", _claim)):
        for row in cells.beside(file, table).to_dict("records"):
            cell = grid[row["dataset"], row["encoder"]]
            check(tally, file.with_suffix(f".{table}.csv"), cell, row)


def _order(tally: Tally, file: Path, cell: Cell, row: dict) -> None:
    metric, pair = row["metric"], (row["upper"], row["lower"])
    place = f"{cell.place} {pair[1]} < {pair[0]}"
    gain = cell.values(pair[0], metric).mean() - cell.values(pair[1], metric).mean()
    tally.equal(file, f"{place} difference", row["difference"], gain)
    stated = {name: row[name] for name in STATED}
    intervals.of_gain(tally, file, place, stated, cell, pair, metric)
    bounds = sorted(cells.sign(metric) * row[name] for name in ("low", "high"))
    above, below = beyond(*bounds, 0.0)
    verdict = "supported" if above else "contradicted" if below else "not resolved"
    _converged(tally, file, place, cell, row, (row["lower"], row["upper"]))
    _verdict(tally, file, place, cell, row, pair, verdict)


def _claim(tally: Tally, file: Path, cell: Cell, row: dict) -> None:
    metric, pair = row["metric"], (row["better"], row["worse"])
    place = f"{cell.place} {pair[0]} over {pair[1]}"
    gain = cell.values(pair[0], metric).mean() - cell.values(pair[1], metric).mean()
    tally.equal(file, f"{place} gain", row["gain"], cells.sign(metric) * gain)
    stated = {name: row[name] for name in STATED}
    intervals.of_gain(tally, file, place, stated, cell, pair, metric, cells.sign(metric))
    _converged(tally, file, place, cell, row, pair)
    _verdict(tally, file, place, cell, row, pair, claimed(row))


def _converged(tally: Tally, file: Path, place: str, cell: Cell, row: dict, pair: tuple) -> None:
    unfinished = ", ".join(method for method in pair if cell.not_converged(method))
    stated = "" if pd.isna(row["not_converged"]) else row["not_converged"]
    tally.holds(file, f"{place} not converged", stated == unfinished, stated, unfinished)


def _verdict(tally, file: Path, place: str, cell: Cell, row: dict, pair: tuple, verdict: str):
    seeds = cell.seeds(*pair, row["metric"])
    tally.equal(file, f"{place} seeds agreeing", row["seeds_agreeing"], (seeds > 0).sum())
    tally.equal(file, f"{place} seeds", row["n_seeds"], len(seeds))
    verdict = UNDECIDED if any(cell.not_converged(method) for method in pair) else verdict
    tally.holds(file, f"{place} verdict", row["verdict"] == verdict, row["verdict"], verdict)


def claimed(row: dict) -> str:
    """The verdict on a claim of a gain, or of no gain above its margin, by its interval."""
    gain = row["expect"] == "gain"
    margin = MARGIN if pd.isna(row["margin"]) else row["margin"]
    above, below = beyond(row["low"], row["high"], 0.0 if gain else margin)
    holds, contradicted = (above, below) if gain else (below, above)
    return "holds" if holds else "contradicted" if contradicted else "not resolved"


def beyond(low: float, high: float, limit: float) -> tuple[bool, bool]:
    """Whether an interval is above 0, and below the limit; None is neither."""
    exists = not pd.isna(low) and not pd.isna(high)
    return bool(exists and low > 0), bool(exists and high < limit)


CHECKS = [studies.of_studies("verdicts on orders and claims", verdicts)]
