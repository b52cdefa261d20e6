"""Tables of studies, anew from the runs' predictions and the labels' groups."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from recompute import artifacts, cells, metrics, resamples
from recompute.cells import Cell
from recompute.tally import PRINTED, Tally

MARGIN = 0.01  # of a claim of no gain that names none


def of_studies(kind: str, check: Callable[[Tally, Path, dict], None]) -> Callable[[Path], Tally]:
    """The check of one study, of its table's path and its cells, as a check of all studies."""

    def of_all(results: Path) -> Tally:
        tally = Tally(kind, PRINTED)
        for file in cells.study_files(results):
            with tally.reading(file):
                check(tally, file, cells.of_study(results, file))
        return tally

    of_all.__name__ = check.__name__
    return of_all


def means(tally: Tally, file: Path, found: dict) -> None:
    """Mean and standard deviation of seeds; numbers of samples and groups; difference."""
    for cell in found.values():
        for row in cell.rows.to_dict("records"):
            _mean(tally, file, cell, row)


def _mean(tally: Tally, file: Path, cell: Cell, row: dict) -> None:
    method, metric, reference = row["method"], row["metric"], row["reference"]
    values = cell.values(method, metric)
    expected = {
        "mean": values.mean(),
        "std": values.std(ddof=1) if len(values) > 1 else None,
        "n_seeds": len(values),
        "n_test": len(cell.groups),
        "n_groups": cell.groups.max() + 1,
    }
    if reference in cell.methods and reference != method:
        expected["difference"] = values.mean() - cell.values(reference, metric).mean()
    for name, value in expected.items():
        tally.equal(file, f"{_place(cell)} {method} {metric} {name}", row[name], value)


def intervals(tally: Tally, file: Path, found: dict) -> None:
    """Intervals of means and differences lie where own resamples of the groups put them."""
    for cell in found.values():
        spreads = {method: resamples.replicates(cell, method) for method in cell.methods}
        for row in cell.rows.to_dict("records"):
            own = spreads[row["method"]].get(row["metric"])
            place = f"{_place(cell)} {row['method']} {row['metric']}"
            _interval(tally, file, place, cell, (row["low"], row["high"]), own)
            base = spreads.get(row["reference"], {}).get(row["metric"])
            if own is not None and base is not None and row["method"] != row["reference"]:
                bounds = row["difference_low"], row["difference_high"]
                _interval(tally, file, f"{place} difference", cell, bounds, own - base)


def _interval(tally, file: Path, place: str, cell: Cell, bounds: tuple, own) -> None:
    if own is None or np.isfinite(own).mean() < 0.6:
        return  # about half of the resamples have to have the metric: chance decides
    if cell.groups.max() == 0:
        tally.holds(file, f"{place} interval", all(pd.isna(b) for b in bounds), bounds, "none")
        return
    for name, stated, share in zip(("low", "high"), bounds, (0.025, 0.975), strict=True):
        fits = not pd.isna(stated) and resamples.percentile_fits(stated, own, share)
        found = f"{np.nanquantile(own, share):.4f}"
        tally.holds(file, f"{place} {name}", fits, f"{stated:.4f}", found)


def verdicts(tally: Tally, file: Path, found: dict) -> None:
    """Steps of orders and claims: gain, seeds that agree, and the verdict of interval and seeds."""
    for row in cells.beside(file, "order").to_dict("records"):
        cell = found[row["dataset"], row["encoder"]]
        _order(tally, file.with_suffix(".order.csv"), cell, row)
    for row in cells.beside(file, "claims").to_dict("records"):
        cell = found[row["dataset"], row["encoder"]]
        _claim(tally, file.with_suffix(".claims.csv"), cell, row)


def _order(tally: Tally, file: Path, cell: Cell, row: dict) -> None:
    metric, upper, lower = row["metric"], row["upper"], row["lower"]
    place = f"{_place(cell)} {lower} < {upper}"
    gain = cell.values(upper, metric).mean() - cell.values(lower, metric).mean()
    tally.equal(file, f"{place} difference", row["difference"], gain)
    seeds = cell.seeds(upper, lower, metric)
    _seeds(tally, file, place, row, seeds)
    bounds = sorted(cells.sign(metric) * row[name] for name in ("low", "high"))
    above, below = _apart(*bounds, seeds, 0.0)
    found = "supported" if above else "contradicted" if below else "not resolved"
    tally.holds(file, f"{place} verdict", row["verdict"] == found, row["verdict"], found)


def _claim(tally: Tally, file: Path, cell: Cell, row: dict) -> None:
    metric, better, worse = row["metric"], row["better"], row["worse"]
    place = f"{_place(cell)} {better} over {worse}"
    gain = cell.values(better, metric).mean() - cell.values(worse, metric).mean()
    tally.equal(file, f"{place} gain", row["gain"], cells.sign(metric) * gain)
    seeds = cell.seeds(better, worse, metric)
    _seeds(tally, file, place, row, seeds)
    found = claimed(row, seeds)
    tally.holds(file, f"{place} verdict", row["verdict"] == found, row["verdict"], found)


def claimed(row: dict, seeds: np.ndarray) -> str:
    """The verdict on a claim of a gain, or of no gain above its margin."""
    gain = row["expect"] == "gain"
    margin = MARGIN if pd.isna(row["margin"]) else row["margin"]
    above, below = _apart(row["low"], row["high"], seeds, 0.0 if gain else margin)
    holds, contradicted = (above, below) if gain else (below, above)
    return "holds" if holds else "contradicted" if contradicted else "not resolved"


def _seeds(tally: Tally, file: Path, place: str, row: dict, seeds: np.ndarray) -> None:
    tally.equal(file, f"{place} seeds agreeing", row["seeds_agreeing"], (seeds > 0).sum())
    tally.equal(file, f"{place} seeds", row["n_seeds"], len(seeds))


def _apart(low: float, high: float, seeds: np.ndarray, limit: float) -> tuple[bool, bool]:
    """Interval and all seeds above 0; interval and all seeds below the limit."""
    if pd.isna(low) or pd.isna(high):
        return False, False
    return low > 0 and (seeds > 0).all(), high < limit and (seeds < limit).all()


def leaks(tally: Tally, file: Path, found: dict) -> None:
    """What a random split is worth: two means of the study's table, and their difference."""
    for row in cells.beside(file, "leak").to_dict("records"):
        keys = (row["random"], row["encoder"]), (row["dataset"], row["encoder"])
        by = [found[key].values(row["method"], row["metric"]).mean() for key in keys]
        expected = {"by_row": by[0], "by_group": by[1], "difference": by[0] - by[1]}
        place = f"{row['dataset']} {row['method']} {row['metric']}"
        for name, value in expected.items():
            tally.equal(file.with_suffix(".leak.csv"), f"{place} {name}", row[name], value)


def classes(tally: Tally, file: Path, found: dict) -> None:
    """Support, recall and precision of each class, means over the seeds that have them."""
    table = cells.beside(file, "classes")
    for key, cell in found.items():
        for method, tests in cell.tests.items():
            seen = [metrics.per_class(test) for test in tests]
            rows = _rows(table, key, method).set_index("class")
            for label in seen[0]:
                for name in ("support", "recall", "precision"):
                    known = [one[label][name] for one in seen if one[label][name] is not None]
                    place = f"{_place(cell)} {method} {label} {name}"
                    value = np.mean(known) if known else None
                    tally.equal(
                        file.with_suffix(".classes.csv"), place, rows.loc[label, name], value
                    )


def calibrations(tally: Tally, file: Path, found: dict) -> None:
    """Temperatures and calibration errors: means over the runs' metrics.json."""
    table = cells.beside(file, "calibration")
    for key, cell in found.items():
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
        tally.equal(file, f"{_place(cell)} {row['method']} {name}", row[name], value)


def _records(table: pd.DataFrame, key: tuple[str, str], method: str) -> list[dict]:
    return _rows(table, key, method).to_dict("records")


def _rows(table: pd.DataFrame, key: tuple[str, str], method: str) -> pd.DataFrame:
    if table.empty:
        return table
    same = (table["dataset"] == key[0]) & (table["encoder"] == key[1]) & (table["method"] == method)
    return table[same]


def _place(cell: Cell) -> str:
    return f"{cell.dataset} {cell.column}"


CHECKS = [
    of_studies("means of studies", means),
    of_studies("intervals of studies, own bootstrap", intervals),
    of_studies("verdicts on orders and claims", verdicts),
    of_studies("random splits against splits by group", leaks),
    of_studies("classes of studies", classes),
    of_studies("calibration of studies", calibrations),
]
