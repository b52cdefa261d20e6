"""Curves over the number of labels: areas, gains and crossings, from the runs of their points."""

from pathlib import Path

import numpy as np

from recompute import artifacts, cells, intervals, resamples, studies, two_way
from recompute.tally import Tally


def curves(tally: Tally, file: Path, grid: dict) -> None:
    """Each row of a study's curves."""
    for row in cells.beside(file, "curves").to_dict("records"):
        points = [grid[name, row["encoder"]] for name in row["versions"].split(";")]
        labels = np.array([float(number) for number in row["labels"].split(";")])
        _labels(tally, file, points, labels)
        _curve(tally, file.with_suffix(".curves.csv"), row, points, np.log(labels))


def _labels(tally: Tally, file: Path, points: list, labels: np.ndarray) -> None:
    """The numbers stated are those of the labels parquet."""
    for cell, stated in zip(points, labels, strict=True):
        about = artifacts.metadata(cell.labels)
        number = about.get("labels_per_class")
        if not number:
            samples = artifacts.table(cell.labels, ["split", "labels"])
            train = samples[samples["split"] == "train"]["labels"]
            number = sum(len(row) for row in train) / len(about["classes"])
        tally.equal(file, f"{cell.place} labels", stated, number, 1e-4 * number)


def _curve(tally: Tally, file: Path, row: dict, points: list, at: np.ndarray) -> None:
    method, metric, base = row["method"], row["metric"], row["reference"]
    place = f"{row['dataset']} {method} {metric} "
    ours = _seeds(points, method, metric)
    tally.equal(file, place + "area", row["area"], _area(at, ours).mean())
    stated = {name: row[name] for name in ("low", "high", "seed_share")}
    _interval(tally, file, place + "area", stated, points, at, [ours], (method,), metric)
    if base not in points[0].methods or base == method:
        return
    theirs = _seeds(points, base, metric)
    better = cells.sign(metric)
    both, pair = [ours, theirs][::better], (method, base)[::better]
    gain = _area(at, both[0]).mean() - _area(at, both[1]).mean()
    tally.equal(file, place + "gain", row["gain"], gain)
    stated = {name: row[f"gain_{name}"] for name in ("low", "high", "p", "seed_share")}
    _interval(tally, file, place + "gain", stated, points, at, both, pair, metric)
    met = _crossing(at, ours.mean(1) - theirs.mean(1))
    tally.equal(file, place + "crossing", row["crossing"], met, 1e-3 * (met or 1))


def _interval(tally, file, place, stated, points, at, sides, methods, metric) -> None:
    try:
        means = [intervals.replicates(cell, metric, *methods) for cell in points]
        parts = two_way.of_groups(
            _area(at, np.stack(means)),
            points[0].groups.max() + 1,
            resamples.theirs(points[0], metric),
        )
    except (KeyError, two_way.Undecided):
        tally.left += 1
        return
    areas = [_area(at, side) for side in sides]
    seeds = two_way.of_seeds(*(areas if len(areas) == 1 else intervals.sides(*areas)))
    mean = areas[0].mean() - (areas[1].mean() if len(areas) > 1 else 0)
    least = 0.0 if len(areas) == 1 else -1.0
    two_way.check(tally, file, place, stated, mean, parts, seeds, least)


def _seeds(points: list, method: str, metric: str) -> np.ndarray:
    """The metric of each point and seed; a point's runs are repeated to the most of any."""
    values = [cell.values(method, metric) for cell in points]
    most = max(len(row) for row in values)
    return np.array([[row[i % len(row)] for i in range(most)] for row in values])


def _area(at: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Mean height of straight lines between points."""
    steps = np.diff(at)
    middles = (curve[1:] + curve[:-1]) / 2
    return np.tensordot(steps, middles, axes=1) / steps.sum()


def _crossing(at: np.ndarray, gap: np.ndarray) -> float | None:
    """Where the line through the points changes its side of 0; of a stretch on 0 its start."""
    sides = np.sign(gap)
    for i in range(len(gap) - 1):
        if sides[i] * sides[i + 1] == -1:
            return float(np.exp(np.interp(0, *_rising(gap[i : i + 2], at[i : i + 2]))))
        later = sides[i + 1 :][sides[i + 1 :] != 0]
        if sides[i + 1] == 0 and len(later) and sides[i] * later[0] == -1:
            return float(np.exp(at[i + 1]))
    return None


def _rising(gap: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(gap)
    return gap[order], at[order]


CHECKS = [studies.of_studies("curves over labels", curves)]
