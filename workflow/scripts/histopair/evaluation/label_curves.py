"""Methods over the number of labels: the area under a curve, and where it crosses another's.

A curve's points are the cells of one dataset with more and more labels, all tested on the same
samples. It is drawn, and its area taken, over the logarithm of the labels of a class: from 2 to 4
counts as much as from 20 to 40. The area is divided by the width, so it is a mean of the metric.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np

from histopair.evaluation import metrics, two_way
from histopair.files import tables

COLUMNS = ["method", "metric", "versions", "labels", "area", "low", "high", "seed_share"]
COLUMNS += ["reference", "gain", "gain_low", "gain_high", "gain_p", "gain_seed_share", "unit"]
COLUMNS += ["crossing", "crossing_low", "crossing_high", "crossed"]


def with_numbers(splits: dict, labels: dict[str, str | Path]) -> dict:
    """Splits with `per_class`, how many train samples of a class are labelled, for families alone.

    labels: labels parquet of each dataset. With all labels it is the mean over the classes.
    """
    limited = {split["whole"] for split in splits.values() if split.get("labels")}
    return {
        name: split | {"per_class": split["labels"] or _per_class(labels[name])}
        if split.get("whole") in limited
        else split
        for name, split in splits.items()
    }


def _per_class(labels: str | Path) -> float:
    classes = tables.about(labels)["classes"]
    samples = tables.read(labels, ["split", "labels"])
    return float(samples["labels"][samples["split"] == "train"].str.len().sum() / len(classes))


def families(splits: dict) -> dict[str, dict[str, float]]:
    """Of each dataset that has few labels somewhere: its versions and their labels, fewest first.

    splits: for each dataset of a family `whole`, the name with all labels, and `per_class`.
    """
    versions: dict[str, dict[str, float]] = {}
    numbered = [(name, split) for name, split in splits.items() if "per_class" in split]
    for name, split in sorted(numbered, key=lambda item: item[1]["per_class"]):
        versions.setdefault(split["whole"], {})[name] = split["per_class"]
    return {whole: names for whole, names in versions.items() if len(names) > 1}


def rows(cells: dict[tuple[str, str], dict], study: dict) -> list[dict]:
    """One row per method and metric of each family of datasets, `dataset` its whole, in COLUMNS.

    The gain is the area's over the study's reference, with the sign that makes more better; a
    crossing is the number of labels at which the method's curve meets the reference's for the first
    time.
    """
    return [
        row
        for whole, versions in families(study.get("splits", {})).items()
        for column in dict.fromkeys(column for name, column in cells if name in versions)
        for row in _of_family(whole, column, versions, cells, study.get("reference"))
    ]


def _of_family(whole: str, column: str, versions: dict, cells: dict, reference) -> list[dict]:
    present = [name for name in versions if (name, column) in cells]
    points = [cells[name, column] for name in present]
    labels = np.array([versions[name] for name in present], float)
    methods = [m for m in points[0]["methods"] if all(m in cell["methods"] for cell in points)]
    facts = {"dataset": whole, "encoder": column, "unit": points[0]["unit"]}
    facts["versions"] = ";".join(present)
    facts["labels"] = ";".join(f"{number:g}" for number in labels)
    rows = []
    for method in methods:
        for metric in points[0]["methods"][method]:
            curve = curve_of(points, method, metric)
            row = facts | {"method": method, "metric": metric, "reference": reference}
            row |= _area(labels, curve, points[0]["n_groups"])
            if reference in methods and method != reference:
                other = curve_of(points, reference, metric)
                row |= _gain(labels, curve, other, points[0]["n_groups"], metrics.sign(metric))
                row |= _crossing(labels, curve, other)
            rows.append(row)
    return rows


def curve_of(points: list[dict], method: str, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """The metric at each of K points: values (K, S) of the seeds, replicates (K, S, R).

    Where a point has fewer runs, as a method that needs one alone has, they stand for all seeds.
    """
    parts = [cell["methods"][method][metric] for cell in points]
    seeds = np.arange(max(len(values) for values, _ in parts))
    values = np.stack([values[seeds % len(values)] for values, _ in parts])
    return values, np.stack([replicates[seeds % len(replicates)] for _, replicates in parts])


def area(labels: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """The mean of curves (K, ...) over the logarithm of labels (K,), by trapezia."""
    at = np.log(labels)
    return np.trapezoid(curve, at, axis=0) / (at[-1] - at[0])


def crossing(labels: np.ndarray, difference: np.ndarray) -> float | None:
    """The labels at which a difference (K,) first changes its sign, by straight lines; or None.

    Where it is 0 at points in between, as on few test samples, it changes at the first of them.
    """
    at, apart = np.log(labels), np.flatnonzero(difference)
    for left, right in pairwise(apart):
        a, b = difference[left], difference[right]
        if a * b < 0 and right > left + 1:
            return float(labels[left + 1])
        if a * b < 0:
            return float(np.exp(at[left] + (at[right] - at[left]) * a / (a - b)))
    return None


def _area(labels: np.ndarray, curve: tuple, groups: int) -> dict:
    values, replicates = (area(labels, part) for part in curve)
    sure = two_way.of_mean(values, replicates, groups)
    return {"area": values.mean(), **{name: sure[name] for name in ("low", "high", "seed_share")}}


def _gain(labels: np.ndarray, curve: tuple, other: tuple, groups: int, sign: int) -> dict:
    """How far the area is above the other's, or below it where lower is better (sign -1)."""
    better, worse = (curve, other)[::sign]
    ours, theirs = (tuple(area(labels, part) for part in side) for side in (better, worse))
    sure = two_way.of_difference(ours, theirs, groups)
    row = {f"gain_{name}": sure[name] for name in ("low", "high", "p", "seed_share")}
    return row | {"gain": ours[0].mean() - theirs[0].mean()}


def _crossing(labels: np.ndarray, curve: tuple, other: tuple) -> dict:
    place = crossing(labels, curve[0].mean(1) - other[0].mean(1))
    return {"crossing": place} | _spread(labels, curve, other) if place else {}


def _spread(labels: np.ndarray, curve: tuple, other: tuple) -> dict:
    """Between which labels 95% of resamples of groups and seeds cross, and how many do."""
    draw = np.random.default_rng(0)
    seeds, resamples = curve[1].shape[1:]
    places = []
    for number in range(resamples):
        chosen = draw.integers(seeds, size=seeds)
        own = chosen if other[1].shape[1] == seeds else draw.integers(other[1].shape[1], size=seeds)
        pair = curve[1][:, chosen, number].mean(1) - other[1][:, own, number].mean(1)
        places.append(crossing(labels, pair))
    met = [place for place in places if place]
    low, high = np.quantile(met, [0.025, 0.975]) if met else (None, None)
    return {"crossing_low": low, "crossing_high": high, "crossed": len(met) / len(places)}
