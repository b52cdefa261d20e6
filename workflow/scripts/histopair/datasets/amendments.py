"""What readers say of images whose labels are published: applied by split, and audited.

`histopair accept-labels` writes the csv. The labels as published stay in the column `published`, so
that a resplit, in which other samples are test, can decide anew which labels are amended.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd

from histopair.datasets.splits import TRAIN, VAL
from histopair.errors import InputError, nearest
from histopair.files import answers, audit, sheets

COLUMNS = ("sha256", "path", "labels", "removed", "reader", "time")
SPLITS = (TRAIN, VAL)  # a verdict on other methods must not change by what a reader was shown


def read(path: str | Path) -> pd.DataFrame:
    """The amendments, one a row: sha256, lists `labels` and `removed`, reader, time, row.

    Raises InputError for a table without these columns, a cell that is no list, and an image that
    has two rows.
    """
    required = [name for name in COLUMNS if name != "path"]
    frame = sheets.read(path, required, texts=("labels", "removed"))
    for name in required:
        sheets.require_filled(frame, name, path)
    for name in ("labels", "removed"):
        frame[name] = pd.Series(list(map(answers.parsed, frame[name])), dtype=object)
        if frame[name].isna().any():
            row = frame.row[frame[name].isna().idxmax()]
            why, remedy = f"the cell '{name}' is no list of labels", 'Write it as ["tumour"]'
            raise InputError(path, why, remedy, row)
    pair = sheets.twins(frame, frame.sha256)
    if len(pair):
        rows = " and ".join(map(str, pair.row))
        raise InputError(path, "the rows are of one image", "Keep one", rows)
    frame["reader"] = frame.reader.map(sheets.unguarded)
    return frame


def problem(labels: Sequence[str], removed: Iterable[str], classes: Sequence[str], task: str):
    """Why these findings of an image cannot be its labels, in words; None if they can."""
    for label in [*labels, *removed]:
        if label not in classes:
            return f"{label!r} is no label of the dataset{nearest(label, classes)}"
    if task == "single" and len(labels) != 1:
        return f"it has {len(labels)} findings, and an image of this dataset has one label"
    return None


def amended(published: Sequence[str], labels: Sequence[str], removed: Sequence[str], task: str):
    """The labels of a sample after an amendment, in a list.

    A single-label sample has the reader's label. With several, a published label stays unless the
    reader removed it: a reader who does not mention it says nothing of it.
    """
    kept = [] if task == "single" else [name for name in published if name not in removed]
    return [*kept, *(name for name in labels if name not in kept)]


def attach(frame: pd.DataFrame, path: str | None, task: str, name: str) -> pd.DataFrame:
    """Samples with the columns published, amended (null: no amendment) and amended_by.

    path: the dataset's `amendments`; without it the frame stays as it is. `settle` decides which
    of both are the labels. Raises InputError for an amendment of an image that dataset `name` does
    not have, for a label that is none of its classes, and where no label would be left.
    """
    if path is None:
        return frame
    table = read(path)
    _require_applicable(table, frame, path, task, name)
    rows = {row.sha256: row for row in table.itertuples()}
    after, by = [], []
    for sha256, labels in zip(frame.sha256, frame.labels, strict=True):
        row = rows.get(sha256)
        after.append(row and amended(labels, row.labels, row.removed, task))
        by.append(row and f"{row.reader}, {row.time}")
        if row and not after[-1]:
            raise InputError(path, "it leaves the image no label", "Add one", row.row)
    columns = {"amended": after, "amended_by": by}
    columns = {key: pd.Series(cells, frame.index, object) for key, cells in columns.items()}
    return frame.assign(published=frame.labels, **columns)


def _require_applicable(table, frame: pd.DataFrame, path: str, task: str, name: str) -> None:
    classes, images = sorted(set(frame.labels.explode())), set(frame.sha256)
    for row in table.itertuples():
        if row.sha256 not in images:
            why, remedy = f"{name} has no image with this sha256", "Remove the row"
            raise InputError(path, why, remedy, row.row)
        if why := problem(row.labels, row.removed, classes, task):
            raise InputError(path, why, "Correct or remove the row", row.row)


def settle(frame: pd.DataFrame, splits: Collection[str], name: str):
    """(samples with amended labels in these splits and published ones elsewhere, audit rows).

    A frame without amendments stays as it is. Raises InputError if a class of dataset `name` has
    no sample, or no train sample, any more.
    """
    if "amended" not in frame:
        return frame, []
    used = frame.amended.notna() & frame.split.isin(splits)
    pairs = zip(used, frame.amended, frame.published, strict=True)
    labels = pd.Series([list(a if use else b) for use, a, b in pairs], frame.index, object)
    for part, rows in (
        ("sample", pd.Series(True, frame.index)),
        ("train sample", frame.split == TRAIN),
    ):
        lost = set(frame.published[rows].explode()) - set(labels[rows].explode())
        if lost:
            why = f"amendments leave the class {min(lost)!r} without a {part}"
            raise InputError(name, why, "Remove some of its amendments, or drop the class")
    frame = frame.assign(labels=labels)
    return frame, _audited(frame.assign(used=used)[frame.amended.notna()])


def _audited(frame: pd.DataFrame) -> list[dict]:
    """A row for each image, and for each change if its samples had several labels."""
    counts: dict[tuple, int] = {}
    for row in frame.itertuples():
        before, after = "; ".join(row.published), "; ".join(row.labels)
        same = list(row.published) == list(row.amended)
        key = (row.path, before, after, _reason(row, same), row.used and not same)
        counts[key] = counts.get(key, 0) + 1
    return [
        audit.row("amend", "amended" if changed else "kept", path, why, before, after, count)
        for (path, before, after, why, changed), count in counts.items()
    ]


def _reason(row, same: bool) -> str:
    if same:
        return f"confirmed by {row.amended_by}"
    if row.used:
        return f"amended by {row.amended_by}"
    asked = "; ".join(row.amended)
    return f"{row.split} labels stay as published; {asked} by {row.amended_by}"
