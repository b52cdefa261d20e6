"""Tables of studies, recomputed from the runs' predictions and the labels' groups."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from recompute import artifacts, calibration, cells, metrics
from recompute.cells import Cell
from recompute.tally import PRINTED, Tally

BELOW = 0.1  # of the probe's loss on validation


def of_studies(kind: str, check: Callable[[Tally, Path, dict], None]) -> Callable[[Path], Tally]:
    """Turn the check of one study, by its table's path and its cells, into a check of all."""

    def of_all(results: Path) -> Tally:
        tally = Tally(kind, PRINTED)
        for file in cells.study_files(results):
            with tally.reading(file):
                check(tally, file, cells.of_study(results, file))
        return tally

    of_all.__name__ = check.__name__
    return of_all


def means(tally: Tally, file: Path, grid: dict) -> None:
    """Mean and deviation of seeds; numbers of samples, groups and unfinished runs; difference."""
    for cell in grid.values():
        for row in cell.rows.to_dict("records"):
            _mean(tally, file, cell, row)


def below_probes(tally: Tally, file: Path, grid: dict) -> None:
    """Losses on validation, and that each probe named under below_probe is better by enough."""
    for cell in grid.values():
        losses = {method: _val_loss(cell, method) for method in cell.methods}
        for method in cell.methods:
            row = cell.rows[cell.rows["method"] == method].iloc[0]
            place, stated = f"{cell.place} {method} ", row["val_loss"]
            tally.equal(file, place + "val_loss", stated, losses[method])
            named = row["below_probe"] if isinstance(row["below_probe"], str) else ""
            for probe in named.split(", ") if named else ():
                above = losses[method] / losses[probe] - 1
                tally.holds(file, place + "below_probe", above > BELOW, named, f"{above:+.1%}")


def _val_loss(cell: Cell, method: str) -> float | None:
    """Mean over seeds at each run's temperature; None if nothing trains."""
    losses = []
    for path in cell.files[method]:
        fitted = artifacts.read_json(path.with_name("metrics.json"))["calibration"]
        if not fitted or not len(artifacts.table(path.with_name("history.parquet"))):
            return None
        val = artifacts.predictions(path).of("val")
        losses.append(calibration.loss(val, calibration.of_samples(fitted, val)))
    return np.mean(losses)


def _mean(tally: Tally, file: Path, cell: Cell, row: dict) -> None:
    method, metric, reference = row["method"], row["metric"], row["reference"]
    values = cell.values(method, metric)
    expected = {
        "mean": values.mean(),
        "std": values.std(ddof=1) if len(values) > 1 else None,
        "n_seeds": len(values),
        "not_converged": cell.not_converged(method),
        "n_test": len(cell.groups),
        "n_groups": cell.groups.max() + 1,
    }
    if reference in cell.methods and reference != method:
        expected["difference"] = values.mean() - cell.values(reference, metric).mean()
    for name, value in expected.items():
        tally.equal(file, f"{cell.place} {method} {metric} {name}", row[name], value)


def classes(tally: Tally, file: Path, grid: dict) -> None:
    """Metrics of each class, means over the seeds that have them."""
    table, class_file = cells.beside(file, "classes"), file.with_suffix(".classes.csv")
    for key, cell in grid.items():
        for method, tests in cell.tests.items():
            if tests[0].task == "survival":
                continue
            seen = [metrics.of_split(run, "test")[1] for run in cell.files[method]]
            rows = _rows(table, key, method).set_index("class")
            for label in seen[0]:
                for name in seen[0][label]:
                    values = [one[label][name] for one in seen if one[label][name] is not None]
                    place = f"{cell.place} {method} {label} {name}"
                    mean = np.mean(values) if values else None
                    tally.equal(class_file, place, rows.loc[label, name], mean)


def calibrations(tally: Tally, file: Path, grid: dict) -> None:
    """Temperatures and calibration errors: means over the runs' metrics.json."""
    table = cells.beside(file, "calibration")
    for key, cell in grid.items():
        for row in (row for method in cell.methods for row in _records(table, key, method)):
            _calibration(tally, file.with_suffix(".calibration.csv"), cell, row)


def _calibration(tally: Tally, file: Path, cell: Cell, row: dict) -> None:
    runs = [
        artifacts.read_json(path.with_name("metrics.json"))["calibration"]
        for path in cell.files[row["method"]]
    ]
    expected = {"temperature": np.mean([run["temperature"] for run in runs])}
    for end, when in (("", "before"), ("_scaled", "after")):
        for name in ("ece", "nll"):
            values = [run["splits"]["test"][when][name] for run in runs]
            expected[name + end] = np.mean(values)
    for name, value in expected.items():
        tally.equal(file, f"{cell.place} {row['method']} {name}", row[name], value)


def _records(table: pd.DataFrame, key: tuple[str, str], method: str) -> list[dict]:
    return _rows(table, key, method).to_dict("records")


def _rows(table: pd.DataFrame, key: tuple[str, str], method: str) -> pd.DataFrame:
    if table.empty:
        return table
    same = (table["dataset"] == key[0]) & (table["encoder"] == key[1]) & (table["method"] == method)
    return table[same]


CHECKS = [
    of_studies("means of studies", means),
    of_studies("studies' losses on validation", below_probes),
    of_studies("classes of studies", classes),
    of_studies("calibration of studies", calibrations),
]
