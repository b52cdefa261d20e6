"""Runs scored on other datasets, and studies' metric by site, recomputed from predictions."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from recompute import (
    artifacts,
    calibration,
    cells,
    intervals,
    metrics,
    perceptual,
    studies,
    two_way,
)
from recompute.artifacts import Predictions
from recompute.cells import Cell
from recompute.tally import Tally

KEYS = ["dataset", "external", "encoder"]
FITTED = 1e-6  # of an error at a temperature that a table does not print in full


class Outside(Cell):
    """The runs of one dataset in one column on the test samples of another dataset."""

    def __init__(self, results: Path, rows: pd.DataFrame):
        super().__init__(results, rows)
        self.external = rows["external"].iloc[0]

    @property
    def place(self) -> str:
        return f"{self.external} by {super().place}"

    @property
    def labels(self) -> Path:
        return self.results / "labels" / f"{self.external}.parquet"

    def _runs_of(self, method: str) -> list[Path]:
        row = self.rows[self.rows["method"] == method].iloc[0]
        encoder = row["own_encoder"] if isinstance(row["own_encoder"], str) else self.column
        folder = self.results / "external" / self.external / self.dataset / encoder / method
        return [folder / seed / "predictions.parquet" for seed in row["seeds"].split(";")]


class AtSite(Cell):
    """The test samples of a cell at one site."""

    def __init__(self, whole: Cell, site: str):
        super().__init__(whole.results, whole.rows)
        self.whole, self.site = whole, site

    @cached_property
    def here(self) -> np.ndarray:
        samples = artifacts.table(self.whole.labels).set_index("sample_id")
        ids = self.whole.tests[self.methods[0]][0].ids
        return np.flatnonzero(samples["site"].loc[ids] == self.site)

    @cached_property
    def tests(self) -> dict[str, list[Predictions]]:
        return {
            method: [test._replace(**_part(test, self.here)) for test in tests]
            for method, tests in self.whole.tests.items()
        }

    @property
    def labels(self) -> Path:
        return self.whole.labels

    def values(self, method: str, metric: str) -> np.ndarray:
        values = [metrics.scalars(test)[metric] for test in self.tests[method]]
        return np.array([np.nan if value is None else value for value in values], float)


def _part(test: Predictions, rows: np.ndarray) -> dict:
    return {name: getattr(test, name)[rows] for name in ("ids", "split", "truth", "scores")}


def elsewhere(tally: Tally, file: Path, grid: dict) -> None:
    """Means, differences, intervals and calibration of runs on other datasets."""
    for cell in _outside(file).values():
        _samples(tally, file, cell)
        for row in cell.rows.to_dict("records"):
            _row(tally, file.with_suffix(".external.csv"), cell, grid, row)


def sites(tally: Tally, file: Path, grid: dict) -> None:
    """The metric of each site, and its interval."""
    table, outside = cells.beside(file, "sites"), _outside(file)
    for row in table.to_dict("records"):
        key = row["dataset"], row["encoder"]
        external = row["external"]
        whole = outside[key[0], external, key[1]] if isinstance(external, str) else grid[key]
        _site(tally, file.with_suffix(".sites.csv"), AtSite(whole, row["site"]), row)


def _outside(file: Path) -> dict[tuple[str, str, str], Outside]:
    table = cells.beside(file, "external")
    parts = table.groupby(KEYS, sort=False) if len(table) else ()
    return {key: Outside(file.parents[1], rows) for key, rows in parts}


def _samples(tally: Tally, file: Path, cell: Outside) -> None:
    """Each run predicts the whole test split with its labels; nothing of it was trained on."""
    ours, theirs = (
        artifacts.table(cell.results / "labels" / f"{name}.parquet")
        for name in (cell.dataset, cell.external)
    )
    ours, theirs = ours[ours["split"] != "test"], theirs[theirs["split"] == "test"]
    tally.equal(file, f"{cell.place} shared images", 0, ours["sha256"].isin(theirs["sha256"]).sum())
    groups = len(set(ours["group"].dropna()) & set(theirs["group"].dropna()))
    tally.equal(file, f"{cell.place} same groups", cell.rows["same_groups"].iloc[0], groups)
    near = perceptual.near(theirs["phash"], ours["phash"]).sum()
    tally.equal(file, f"{cell.place} near samples", cell.rows["near_samples"].iloc[0], near)
    labels = theirs.set_index("sample_id")["labels"]
    for method, tests in cell.tests.items():
        for test in tests:
            whole = set(test.ids) == set(labels.index) and len(test.ids) == len(labels)
            tally.holds(file, f"{cell.place} {method} samples", whole, len(test.ids), len(labels))
            named = [[name in set(row) for name in test.classes] for row in labels.loc[test.ids]]
            wrong = (np.array(named) != test.truth).any(1).sum()
            tally.equal(file, f"{cell.place} {method} wrong labels", 0, wrong)


def _row(tally: Tally, file: Path, cell: Outside, grid: dict, row: dict) -> None:
    method, metric = row["method"], row["metric"]
    place = f"{cell.place} {method} {metric}"
    own = grid[cell.dataset, cell.column]
    one, other = (side.values(method, metric) for side in (cell, own))
    expected = {
        "mean": one.mean(),
        "inside": other.mean(),
        "difference": one.mean() - other.mean(),
        "n_test": len(cell.groups),
        "n_groups": cell.groups.max() + 1,
    }
    for name, value in expected.items():
        tally.equal(file, f"{place} {name}", row[name], value)
    for end, side in (("inside", own), ("outside", cell)):
        for name, value in _scaled(cell, side, method).items():
            tally.equal(file, f"{place} {name}_{end}", row[f"{name}_{end}"], value, FITTED)
    tally.holds(file, f"{place} unit", row["unit"] == cell.unit, row["unit"], cell.unit)
    stated = {name: row[name] for name in ("low", "high", "seed_share")}
    intervals.of_mean(tally, file, place, stated, cell, method, metric)
    parts = [intervals.groups_of(tally, side, metric, method) for side in (cell, own)]
    if intervals.LEFT not in parts:
        both = None if None in parts else parts[0] + parts[1]
        names = ("low", "high", "p", "seed_share")
        stated = {name: row[f"difference_{name}"] for name in names}
        seeds, gap = two_way.of_seeds(*intervals.sides(one, other)), expected["difference"]
        two_way.check(tally, file, f"{place} difference", stated, gap, both, seeds)


def _scaled(outside: Outside, side: Cell, method: str) -> dict[str, float | None]:
    """Mean calibration error and loss at each run's own temperature; None if runs have none."""
    errors, losses = [], []
    for path, test in zip(side.files[method], side.tests[method], strict=True):
        run = outside.results / "runs" / Path(*path.parts[-5:-1]) / "metrics.json"
        fitted = artifacts.read_json(run)["calibration"]
        if fitted:
            scores = calibration.probabilities(test, fitted["temperature"])
            scaled = test._replace(scores=scores)
            errors.append(metrics.expected_error(*metrics.judged(scaled)))
            losses.append(calibration.loss(test, fitted["temperature"]))
    named = {"ece": errors, "nll": losses}
    return {name: float(np.mean(found)) if found else None for name, found in named.items()}


def _site(tally: Tally, file: Path, cell: AtSite, row: dict) -> None:
    method, metric = row["method"], row["metric"]
    place = f"{cell.whole.place} at {cell.site} {method} {metric}"
    expected = {
        "mean": cell.values(method, metric).mean(),
        "n": len(cell.here),
        "n_groups": cell.groups.max() + 1,
    }
    for name, value in expected.items():
        tally.equal(file, f"{place} {name}", row[name], value)
    tally.holds(file, f"{place} unit", row["unit"] == cell.unit, row["unit"], cell.unit)
    stated = {name: row[name] for name in ("low", "high", "seed_share")}
    intervals.of_mean(tally, file, place, stated, cell, method, metric)


CHECKS = [
    studies.of_studies("runs on other datasets", elsewhere),
    studies.of_studies("metrics by site", sites),
]
