"""Steps of orders and claims of studies: gains, seeds that agree, intervals and verdicts."""

from pathlib import Path

import pandas as pd

from recompute import artifacts, cells, intervals, studies
from recompute.cells import Cell
from recompute.tally import Tally

MARGIN = 0.01  # of a claim of no gain that names none
UNDECIDED = "not decided"
STATED = ("low", "high", "p", "seed_share")


def verdicts(tally: Tally, file: Path, grid: dict) -> None:
    """A verdict follows from the interval.

    There is none if a run has not converged, or if its text is of a retriever that fails the gate.
    """
    gates = cells.beside(file, "gate")
    for table, check in (("order", _order), ("claims", _claim)):
        for row in cells.beside(file, table).to_dict("records"):
            cell = grid[row["dataset"], row["encoder"]]
            against = _unfinished(cell), _blind(cell, gates)
            check(tally, file.with_suffix(f".{table}.csv"), cell, row, against)


def _unfinished(cell: Cell) -> dict[str, str]:
    """Of each method with runs that have not converged, its name as tables state it."""
    return {name: name for name in cell.methods if cell.not_converged(name)}


def _blind(cell: Cell, gates: pd.DataFrame) -> dict[str, str]:
    """Of each method whose retriever fails its gates in this world, both names."""
    if gates.empty:
        return {}
    few = artifacts.metadata(cell.labels).get("labels_per_class")
    whole = cell.dataset.removesuffix(f"-{few}-labels")
    here, blind = gates[gates["dataset"] == whole], {}
    for name, files in cell.files.items():
        method, encoder = artifacts.method(files[0]), files[0].parents[2].name
        same = (here["encoder"] == encoder) & (here["retriever"] == method.get("retriever"))
        if method.get("corpus"):
            same &= here["corpus"] == method["corpus"]
        if same.any() and not here[same]["passed"].astype(str).eq("True").any():
            blind[name] = f"{name} ({method['retriever']})"
    return blind


def _order(tally: Tally, file: Path, cell: Cell, row: dict, against: tuple) -> None:
    metric, pair = row["metric"], (row["upper"], row["lower"])
    place = f"{cell.place} {pair[1]} < {pair[0]}"
    gain = cell.values(pair[0], metric).mean() - cell.values(pair[1], metric).mean()
    tally.equal(file, f"{place} difference", row["difference"], gain)
    stated = {name: row[name] for name in STATED}
    intervals.of_gain(tally, file, place, stated, cell, pair, metric)
    bounds = sorted(cells.sign(metric) * row[name] for name in ("low", "high"))
    above, below = beyond(*bounds, 0.0)
    verdict = "supported" if above else "contradicted" if below else "not resolved"
    undecided = _doubts(tally, file, place, row, pair[::-1], against)
    _verdict(tally, file, place, cell, row, pair, UNDECIDED if undecided else verdict)


def _claim(tally: Tally, file: Path, cell: Cell, row: dict, against: tuple) -> None:
    metric, pair = row["metric"], (row["better"], row["worse"])
    place = f"{cell.place} {pair[0]} over {pair[1]}"
    gain = cell.values(pair[0], metric).mean() - cell.values(pair[1], metric).mean()
    tally.equal(file, f"{place} gain", row["gain"], cells.sign(metric) * gain)
    stated = {name: row[name] for name in STATED}
    intervals.of_gain(tally, file, place, stated, cell, pair, metric, cells.sign(metric))
    undecided = _doubts(tally, file, place, row, pair, against)
    _verdict(tally, file, place, cell, row, pair, UNDECIDED if undecided else claimed(row))


def _doubts(tally: Tally, file: Path, place: str, row: dict, pair: tuple, against: tuple) -> bool:
    """Whether anything is against a comparison; what the row states must be that."""
    for column, named in zip(("not_converged", "gate_failed"), against, strict=True):
        expected = ", ".join(named[method] for method in pair if method in named)
        stated = "" if pd.isna(row[column]) else row[column]
        words = column.replace("_", " ")
        tally.holds(file, f"{place} {words}", stated == expected, stated, expected)
    return any(method in named for method in pair for named in against)


def _verdict(tally, file: Path, place: str, cell: Cell, row: dict, pair: tuple, verdict: str):
    seeds = cell.seeds(*pair, row["metric"])
    tally.equal(file, f"{place} seeds agreeing", row["seeds_agreeing"], (seeds > 0).sum())
    tally.equal(file, f"{place} seeds", row["n_seeds"], len(seeds))
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
