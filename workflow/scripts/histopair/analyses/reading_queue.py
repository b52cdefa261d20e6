"""A queue of a dataset's samples for a reader, the most informative first, from finished runs."""

import csv
import io
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from histopair.datasets.splits import TRAIN
from histopair.errors import InputError
from histopair.evaluation import calibration, informative, tasks
from histopair.evaluation.tasks.labelled import Labels
from histopair.files import sheets, tables

ORDERS = ("uncertainty", "disagreement", "diversity")
COLUMNS = ["rank", "sample_id", "path", "sha256", "split", "labels", "finding", "probability"]
COLUMNS += ["uncertainty", "disagreement", "distance"]


def write(
    runs: Sequence[Path],
    labels: str | Path,
    embeddings: str | Path | None,
    output: str | Path,
    order: str = ORDERS[0],
    splits: Collection[str] | None = None,
    most: int | None = None,
) -> int:
    """Write the csv `output` with COLUMNS, and return its number of rows.

    runs: folders with predictions.parquet and metrics.json of the same samples; their mean is the
    prediction, at each run's temperature. labels: labels parquet of their dataset. embeddings: of
    its images, for the order "diversity", which starts from the train samples. splits: those to
    queue; None: all that the runs predict. Raises InputError for runs that cannot be compared, or
    that give no probabilities, and if nothing is left to queue.
    """
    samples = tables.read(labels)
    table = _judged(runs, samples, labels)
    table = table[table["split"].isin(splits)] if splits else table
    if table.empty:
        raise InputError(labels, "no predicted sample is in these splits", "Name others")
    require_several(order, runs)
    if order == "diversity":
        table = _farthest(table, samples, embeddings, most)
    else:
        table = most_informative(table, order, most)
    tables.write_text(output, as_csv(table))
    return len(table)


def require_several(order: str, members: Sequence) -> None:
    """Raise InputError for the order "disagreement" of one run."""
    if order == "disagreement" and len(members) < 2:
        remedy = "Name another method, or train more seeds"
        raise InputError(members[0], "one run cannot disagree", remedy)


def most_informative(table: pd.DataFrame, order: str, most: int | None) -> pd.DataFrame:
    return table.sort_values(order, ascending=False, kind="stable")[:most]


def _judged(runs: Sequence[Path], samples: pd.DataFrame, labels: str | Path) -> pd.DataFrame:
    """The predicted samples with what their mean prediction is, and how sure."""
    ids, members, about = _predicted(runs)
    missing = "it has no sample {}, which a run predicted"
    places = tables.positions(ids, samples["sample_id"], labels, missing, "Rerun the runs")
    table = samples.iloc[places][["sample_id", "image_id", "path", "sha256", "split", "labels"]]
    return judged(table.reset_index(drop=True), members, about["classes"], about["task"])


def judged(
    table: pd.DataFrame, members: Sequence[np.ndarray], classes: Sequence[str], task: str
) -> pd.DataFrame:
    """The n samples with what the members' mean prediction (n, C) is, and how sure."""
    several, mean = task == "multi", np.mean(members, axis=0)
    return table.assign(
        finding=np.array(classes, object)[mean.argmax(1)],
        probability=mean.max(1),
        uncertainty=informative.uncertainty(mean, several),
        disagreement=informative.disagreement(members, several),
        distance=np.nan,
    )


def _predicted(runs: Sequence[Path]) -> tuple[pd.Series, list[np.ndarray], dict]:
    """Ids of the n samples, each run's calibrated probabilities (n, C), and facts of the runs."""
    ids, members, first = None, [], None
    for run in runs:
        path = run / "predictions.parquet"
        frame, about = tables.without_vectors(path), tables.about(path)
        first = first or about
        place = np.argsort(frame["sample_id"].to_numpy(), kind="stable")
        here = frame["sample_id"].iloc[place].reset_index(drop=True)
        ids = here if ids is None else ids
        if not here.equals(ids) or about["classes"] != first["classes"]:
            problem = f"its samples or classes differ from those of {runs[0]}"
            raise InputError(path, problem, "Name runs of one dataset")
        scores = tables.matrix(path, "scores")[place].astype(float)
        fold = frame["fold"].to_numpy()[place] if "fold" in frame else None
        members.append(_calibrated(run, scores, tasks.of(about["task"]), fold))
    return ids, members, first


def _calibrated(run: Path, scores: np.ndarray, task, fold: np.ndarray | None) -> np.ndarray:
    if not (isinstance(task, Labels) and task.are_probabilities(scores)):
        problem = "its scores are no probabilities of labels"
        raise InputError(run, problem, "Name a run of another method")
    fitted = tables.read_json(run / "metrics.json")["calibration"]
    low, high = calibration.LOWEST, calibration.HIGHEST
    scores = np.clip(scores, low, high)
    if not fitted:
        return scores
    return calibration.scale(scores, task, calibration.temperatures(fitted, fold))


def _farthest(table, samples: pd.DataFrame, embeddings, most: int | None) -> pd.DataFrame:
    """The rows, the farthest from train and from each other first; an image counts once."""
    table = table.drop_duplicates("image_id").reset_index(drop=True)
    trained = samples.loc[samples["split"] == TRAIN, "image_id"].drop_duplicates()
    trained = trained[~trained.isin(table["image_id"])]
    images = pd.concat([table["image_id"], trained], ignore_index=True)
    names = tables.read(embeddings, ["image_id"])["image_id"]
    places = tables.positions(images, names, embeddings, "it has no image {}", "Embed it again")
    vectors = tables.matrix(embeddings, normalise=True)[places]
    labelled = np.arange(len(images)) >= len(table)
    order, reach = informative.farthest_first(vectors, most or len(table), labelled)
    return table.iloc[order].assign(distance=reach)


def as_csv(table: pd.DataFrame) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    labels = table["labels"].map("; ".join)
    table = table.assign(rank=range(1, len(table) + 1), labels=labels)
    for row in table[COLUMNS].itertuples(index=False):
        cells = [f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row]
        writer.writerow(["" if cell == "nan" else sheets.guarded(cell) for cell in cells])
    return text.getvalue()
