"""Any folder of images with a labels.csv: path, label[, group][, split][, site][, caption] ...

Several labels per image: a column `labels` (or `multi: true`), separated by `;`. A word for a
missing value, such as None, is a label only where `classes`, `class_names` or `labels_map` name it.
"""

import os

from histopair import readers
from histopair.errors import InputError
from histopair.files import audit, folding, missing, paths, sheets

OPTIONAL = ["label", "labels", "group", "split", "site", "caption", "label_name", "id"]
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val"}
SPLITS |= {"validation": "val", "test": "test", "testing": "test"}
SEPARATOR = ";"
NO_SEPARATORS = ",|\uff1b"  # the last is the semicolon of Chinese and Japanese texts


def inputs(entry: dict) -> list[str]:
    """The table; planning watches which images lie below the root."""
    return [_table(entry)]


def check(entry: dict) -> None:
    """Raise InputError if the table lacks a column."""
    sheets.require(_table(entry), ["path"], OPTIONAL, entry.get("columns"))


def read(entry: dict):
    """Read the table; `columns` in the entry maps our names to the file's where they differ.

    Raises InputError for a missing column, an unknown split, a path outside the root, a path listed
    twice with different labels, groups or splits, groups of some rows only, an id or group that was
    rounded, and several labels in a cell that are not read as such. Exact repeats are dropped.
    """
    import pandas as pd

    table, root = _table(entry), entry["root"]
    name = os.path.basename(table)
    frame = sheets.read(
        table,
        ["path"],
        OPTIONAL,
        entry.get("columns"),
        texts=("path", "caption"),
        values=dict.fromkeys(("label", "labels"), readers.declared(entry)),
    )
    rows = frame.attrs["audit"]
    sheets.require_filled(frame, "path", table)
    sheets.require_exact(frame, ["id", "group"], table)
    written = paths.relative(frame.path, table, frame.row, root=root)
    frame["path"], renamed = paths.on_disk(written, root, name)
    multi, frame["labels"], without = _labels(frame, entry, table)
    frame["split"], splits = _splits(frame, table)
    _require_groups(frame, table)
    frame["group"], united = folding.united(frame.group, f"{name}, column 'group'")
    frame, repeated = _distinct(frame, table)
    frame["image_id"] = frame.path
    frame["sample_id"], named = _ids(frame, table)
    rows += renamed + without + splits + united + repeated + named + paths.unnamed(root, frame.path)
    names = {} if multi else _class_names(frame)
    unused = ["label", "label_name", "id", *(["site"] if frame.site.isna().all() else [])]
    frame = frame.drop(columns=unused).astype({"group": object, "split": object})
    frame = frame.where(pd.notna(frame), None)
    task = "multi" if multi else "single"
    frame.attrs = {"task": task, "classes": None, "class_names": names}
    return frame, rows


def _table(entry: dict) -> str:
    return os.path.normpath(os.path.join(entry["root"], entry.get("table", "labels.csv")))


def _labels(frame, entry: dict, table: str):
    """Whether samples may have several labels, the list of each row, and audit rows."""
    columns = [name for name in ("labels", "label") if frame[name].notna().any()]
    if not columns:
        problem = "there is no column 'label' (or 'labels', for several per image), or it is empty"
        raise InputError(table, problem, "Add it, or give its name in the config")
    texts = frame[columns[0]].fillna("")
    values, name = readers.declared(entry), os.path.basename(table)
    if not entry.get("multi", columns[0] == "labels"):
        wrong = texts.isin(_joined({text: [text] for text in texts.unique()}, SEPARATOR, values))
        _refuse(frame, wrong, texts, "Call the column 'labels', or set `multi: true`", table)
        return False, [[text] if text else [] for text in texts], []
    items = {text: [part.strip() for part in text.split(SEPARATOR)] for text in texts.unique()}
    wrong = texts.isin(_joined(items, NO_SEPARATORS, values))
    _refuse(
        frame,
        wrong,
        texts,
        f"Part them by {SEPARATOR!r}, or give it a text in `class_names`",
        table,
    )
    return True, *missing.without_items(texts.map(items), values, name)


def _joined(items: dict[str, list[str]], marks: str, values: set[str]) -> list[str]:
    """The cells with a label that is several others of the column, parted by one of `marks`.

    items: cell -> labels. Labels that are `values` of the config are never several.
    """
    labels = {label for of_cell in items.values() for label in of_cell}

    def several(label: str) -> bool:
        parts = ([part.strip(" []'\"") for part in label.split(mark)] for mark in marks)
        return any(len(each) > 1 and labels.issuperset(each) for each in map(_filled, parts))

    bad = {label for label in labels - values if several(label)}
    return [cell for cell, of_cell in items.items() if bad.intersection(of_cell)]


def _filled(parts: list[str]) -> list[str]:
    return [part for part in parts if part]


def _refuse(frame, wrong, texts, remedy: str, table: str) -> None:
    """Raise InputError for the first row that is `wrong`."""
    if wrong.any():
        first = wrong.idxmax()
        problem = f"the cell {texts[first]!r} joins labels that other rows have alone"
        raise InputError(table, problem, remedy, frame.row[first])


def _splits(frame, table: str):
    """Official splits by their standard names; either all rows have one or none has."""
    if frame.split.isna().all():
        return None, []
    sheets.require_filled(frame, "split", table)
    written = frame.split
    standard = written.str.casefold().map(SPLITS)
    unknown = standard.isna()
    if unknown.any():
        problem = f"the split {written[unknown.idxmax()]!r} is unknown"
        raise InputError(table, problem, "Use train, val or test", frame.row[unknown.idxmax()])
    counts = written.groupby([written, standard], sort=True).size().to_dict()
    rows = [
        audit.row("read", "renamed", "split", "split names are standardised", old, new, count)
        for (old, new), count in counts.items()
        if old != new
    ]
    return standard, rows


def _require_groups(frame, table: str) -> None:
    """Raise InputError for the first row without a group, if others have one.

    A spreadsheet writes a cell that was merged over the tiles of a patient at the first of them.
    """
    missing = frame.group.isna()
    if missing.any() and not missing.all():
        problem = f"{missing.sum()} of {len(frame)} rows have no group, this one first"
        remedy = "Fill the column; give an image that belongs with no other a group of its own"
        raise InputError(table, problem, remedy, frame.row[missing.idxmax()])


def _distinct(frame, table: str):
    """Drop exact repeats; a path repeated with other content is an error."""
    content = ["path", "split", "group", "site", "caption", "key"]
    frame = frame.assign(key=frame.labels.map(SEPARATOR.join))
    repeats = frame.duplicated(content)
    kept = frame[~repeats]
    pair = sheets.twins(kept, kept.path).iloc[:2]
    if len(pair):
        differing = [name for name in content[1:] if pair[name].nunique(dropna=False) > 1]
        column = "labels" if differing[0] == "key" else differing[0]
        values = " and ".join(repr(value) for value in pair[differing[0]])
        problem = f"'{pair.path.iloc[0]}' is listed twice with different {column}: {values}"
        raise InputError(table, problem, "Keep one of the rows", " and ".join(map(str, pair.row)))
    name, reason = os.path.basename(table), "exact repeat of an earlier row"
    rows = audit.of_rows("deduplicate", "dropped", name, frame.row[repeats], reason)
    return kept.drop(columns="key").reset_index(drop=True), rows


def _ids(frame, table: str):
    """The id of each sample, or its path if it has none; InputError for one id in two spellings."""
    nameless = frame.id.isna()
    if nameless.all():
        return frame.path, []
    distinct = frame[~nameless].drop_duplicates("id")
    pair = sheets.twins(distinct, distinct.id.map(folding.key)).iloc[:2]
    if len(pair):
        problem = f"the ids {' and '.join(map(repr, pair.id))} are one, written in two ways"
        rows = " and ".join(map(str, pair.row))
        raise InputError(table, problem, "Give each sample an id of its own", rows)
    name, reason = os.path.basename(table), "no id: the path replaces it"
    rows = audit.of_rows("read", "renamed", name, frame.row[nameless], reason)
    return frame.id.where(~nameless, frame.path), rows


def _class_names(frame) -> dict[str, str]:
    """Label -> text, for labels with exactly one label_name."""
    pairs = frame.dropna(subset=["label", "label_name"])[["label", "label_name"]]
    pairs = pairs.drop_duplicates()
    return dict(pairs[~pairs.label.duplicated(keep=False)].itertuples(index=False, name=None))
