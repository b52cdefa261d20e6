"""A queue of the images that have no label, the most informative first, from exported models."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from histopair import errors, images
from histopair.analyses import reading_queue
from histopair.errors import InputError
from histopair.evaluation import informative
from histopair.export.predict import images_below
from histopair.export.read import Exported
from histopair.files import paths, tables

BATCH = 32
SPLIT = "unlabelled"


def write(
    models: Sequence[Exported],
    pool: Path,
    labels: str | Path,
    output: str | Path,
    order: str = reading_queue.ORDERS[0],
    most: int | None = None,
) -> tuple[int, list[str]]:
    """Write the csv `output` with reading_queue.COLUMNS; (its number of rows, what was left out).

    models: exports of image models, of one task and the same classes; the mean of their calibrated
    probabilities is the prediction. pool: a folder; its images whose bytes are in `labels`, the
    labels parquet of the models' dataset, have a label and are not queued, and equal ones are
    queued once. "diversity" is by the features of the first model. Raises InputError for models
    that cannot be compared or read a note, and if no image is left.
    """
    _require_comparable(models)
    reading_queue.require_several(order, [model.folder for model in models])
    known = set(tables.read(labels, ["sha256"])["sha256"])
    table, unread = _found(pool, known)
    if table.empty:
        problem = f"it has no readable image beside those of {labels}"
        raise InputError(pool, problem, "Give the folder of unlabelled images")
    members, features = _answers(models, pool, list(table["path"]))
    config = models[0].config
    table = reading_queue.judged(table, members, config["classes"], config["task"])
    if order == "diversity":
        if features is None:
            raise InputError(models[0].folder, "it gives no features", "Export the run again")
        rows, reach = informative.farthest_first(tables.unit(features), most or len(table))
        table = table.iloc[rows].assign(distance=reach)
    else:
        table = reading_queue.most_informative(table, order, most)
    tables.write_text(output, reading_queue.as_csv(table))
    return len(table), unread


def _require_comparable(models: Sequence[Exported]) -> None:
    first = models[0].config
    for model in models:
        if model.reads != ["image"]:
            remedy = "Export a model of images alone"
            raise InputError(model.folder, "it reads notes, and the pool has none", remedy)
        if (model.config["classes"], model.config["task"]) != (first["classes"], first["task"]):
            problem = f"its classes differ from those of {models[0].folder}"
            raise InputError(model.folder, problem, "Name exports of one dataset")


def _found(pool: Path, known: set[str]) -> tuple[pd.DataFrame, list[str]]:
    """The images that are not known, one for each content, and a line for each unreadable one."""
    rows, unread = {}, []
    for path in images_below(pool):
        shown = paths.printable(path)
        try:
            if shown != path:
                raise images.Unreadable(shown, "its name is not UTF-8", "Rename the file")
            digest = images.digest(pool, path)
            if digest not in known | rows.keys():
                images.load(pool, path)
                rows[digest] = path
        except images.Unreadable as error:
            unread.append(str(error))
        except OSError as error:
            unread.append(str(errors.of_system(shown, error)))
    named = list(rows.values())
    table = pd.DataFrame({"sample_id": named, "image_id": named, "path": named})
    empty = pd.Series([[] for _ in named], dtype=object)
    return table.assign(sha256=list(rows), split=SPLIT, labels=empty), unread


def _answers(
    models: Sequence[Exported], pool: Path, paths: Sequence[str]
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Each model's probabilities (n, C), and the features (n, d) of the first one, if it has any.

    Older exports have none.
    """
    given = [[] for _ in models]
    for start in range(0, len(paths), BATCH):
        loaded = [images.load(pool, path) for path in paths[start : start + BATCH]]
        for model, parts in zip(models, given, strict=True):
            logits, features = model.answer(np.stack([*map(model.pixels, loaded)]), None)
            parts.append((model.probabilities_of(logits), features))
    members = [np.concatenate([values for values, _ in parts]) for parts in given]
    features = [part for _, part in given[0]]
    return members, None if features[0] is None else np.concatenate(features)
