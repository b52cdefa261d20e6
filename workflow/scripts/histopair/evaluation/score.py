"""The metrics of one run, from its predictions and its history."""

from pathlib import Path

import numpy as np

from histopair.errors import InputError
from histopair.evaluation import calibration, convergence, tasks
from histopair.evaluation.tasks.labelled import Labels
from histopair.files import tables


def score(predictions: str | Path, history: str | Path, output: str | Path, about: dict) -> None:
    """Write metrics.json for one run: every metric of every split in its predictions.parquet.

    `calibration` is from `calibration.judge`, with the temperature that fits the validation split;
    `convergence` is from `convergence.judge`, on the run's history.parquet.
    Raises InputError for a label that is not among the run's classes and for scores that are not
    finite numbers.
    """
    content = of_predictions(predictions)
    content |= {"convergence": convergence.judge(tables.read(history)), "about": about}
    tables.write_json(output, content)


def of_predictions(predictions: str | Path) -> dict:
    """What a run's metrics.json says, but for its convergence."""
    content, parts, task = judge(predictions)
    labelled = isinstance(task, Labels)
    fitted = calibration.judge(parts, task, _folds(predictions)) if labelled else None
    return content | {"calibration": fitted}


def score_elsewhere(
    predictions: str | Path, metrics: str | Path, output: str | Path, about: dict
) -> None:
    """Write metrics.json of a run's predictions of another dataset, as `score` does.

    metrics: the run's own metrics.json. Its temperature is applied, none is fitted, and its
    validation split and its convergence stay what they are.
    """
    content, parts, task = judge(predictions)
    trained = tables.read_json(metrics)
    fitted = trained["calibration"]
    content |= {
        "calibration": fitted and calibration.elsewhere(parts, task, fitted),
        "convergence": trained["convergence"],
        "about": about,
    }
    tables.write_json(output, content)


def _folds(predictions: str | Path) -> dict[str, np.ndarray]:
    """The fold of each sample, in the file's order, of each split; empty if none are joined."""
    table = tables.without_vectors(predictions)
    if "fold" not in table:
        return {}
    return {split: part["fold"].to_numpy() for split, part in table.groupby("split")}


def judge(predictions: str | Path) -> tuple[dict, dict[str, tuple], object]:
    """Every metric of every split, the truth and the scores of each split, and the task."""
    table, run = tables.without_vectors(predictions), tables.about(predictions)
    task, classes = tasks.of(run["task"]), run["classes"]
    truth = task.truth(table, classes, predictions)
    scores = tables.matrix(predictions, "scores")
    if not np.isfinite(scores).all():
        raise InputError(predictions, "scores are not finite", "Train the run again, lower its lr")
    parts, judged = {}, {}
    for split in sorted(table["split"].unique()):
        rows = np.flatnonzero(table["split"] == split)
        parts[split] = truth[rows], scores[rows]
        judged[split] = task.judge(*parts[split], classes, **task.context(table, rows))
    content = {"task": task.name, "classes": classes, "n": len(table), "splits": judged}
    return content, parts, task
