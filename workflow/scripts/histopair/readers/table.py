"""Any folder of images with a labels.csv: path, label[, group][, split][, caption][, label_name].

Several labels per image: a column `labels` (or `multi: true`), separated by `;`. A word for a
missing value, such as None, is a label only where `classes`, `class_names` or `labels_map` name it.
"""

import os

from histopair.errors import InputError

OPTIONAL = ["label", "labels", "group", "split", "caption", "label_name", "id"]
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val"}
SPLITS |= {"validation": "val", "test": "test", "testing": "test"}
SEPARATOR = ";"


def inputs(entry: dict) -> list[str]:
    """The table; image files are named by it and checked, not watched."""
    return [_table(entry)]


def check(entry: dict) -> None:
    """Raise InputError where the table lacks a column."""
    from histopair.files import sheets

    sheets.require(_table(entry), ["path"], OPTIONAL, entry.get("columns"))


def read(entry: dict):
    """Read the table; `columns` in the entry maps our names to the file's where they differ.

    Raises InputError for a missing column, an unknown split, a path outside the root, and a path
    listed twice with different labels, groups or splits. Rows repeated exactly are dropped.
    """
    import pandas as pd

    from histopair import readers
    from histopair.files import folding, paths, sheets

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
    _filled(frame, "path", table)
    written = paths.relative(frame.path, table, frame.row, root=root)
    frame["path"], renamed = paths.on_disk(written, root, name)
    multi, frame["labels"], found = _labels(frame, entry, table)
    frame["split"], splits = _splits(frame, table)
    frame["group"], united = folding.united(frame.group, f"{name}, column 'group'")
    frame, repeated = _distinct(frame, table)
    frame["image_id"] = frame.path
    frame["sample_id"], named = _ids(frame, table)
    rows += renamed + found + splits + united + repeated + named + paths.unnamed(root, frame.path)
    names = {} if multi else _class_names(frame)
    frame = frame.astype({"group": object, "split": object}).drop(
        columns=["label", "label_name", "id"]
    )
    frame = frame.where(pd.notna(frame), None)
    task = "multi" if multi else "single"
    frame.attrs = {"task": task, "classes": None, "class_names": names}
    return frame, rows


def _table(entry: dict) -> str:
    return os.path.normpath(os.path.join(entry["root"], entry.get("table", "labels.csv")))


def _labels(frame, entry: dict, table: str):
    """Whether samples may have several labels, the list of each row, and audit rows."""
    from histopair import readers
    from histopair.files import missing

    found = [name for name in ("labels", "label") if frame[name].notna().any()]
    if not found:
        raise InputError(
            table,
            "there is no column 'label' (or 'labels', for several per image), or it is empty",
            "Add it, or give its name in the config",
        )
    multi = bool(entry.get("multi", found[0] == "labels"))
    texts = frame[found[0]].fillna("")
    if not multi:
        return False, [[text] if text else [] for text in texts], []
    values = readers.declared(entry)
    items = {text: [part.strip() for part in text.split(SEPARATOR)] for text in texts.unique()}
    lists, rows = missing.without_items(texts.map(items), values, os.path.basename(table))
    return True, lists, rows


def _splits(frame, table: str):
    """Official splits by their standard names; all rows have one or none has."""
    from histopair.files import audit

    if frame.split.isna().all():
        return None, []
    _filled(frame, "split", table)
    written = frame.split
    standard = written.str.casefold().map(SPLITS)
    unknown = standard.isna()
    if unknown.any():
        first = unknown.idxmax()
        raise InputError(
            table,
            f"the split {written[first]!r} is unknown",
            "Use train, val or test",
            frame.row[first],
        )
    pairs = _pairs(written, standard)
    rows = [
        audit.row("read", "renamed", "split", "split names are standardised", old, new, count)
        for (old, new), count in pairs.items()
        if old != new
    ]
    return standard, rows


def _pairs(written, standard) -> dict:
    """How often each written name stands for each standard one."""
    return written.groupby([written, standard], sort=True).size().to_dict()


def _distinct(frame, table: str):
    """Drop exact repeats; a path repeated with other content is an error."""
    from histopair.files import audit

    content = ["path", "split", "group", "caption", "key"]
    frame = frame.assign(key=frame.labels.map(SEPARATOR.join))
    repeats = frame.duplicated(content)
    kept = frame[~repeats]
    clash = kept.duplicated("path", keep=False)
    if clash.any():
        path = kept.path[clash].iloc[0]
        pair = kept[kept.path == path].iloc[:2]
        differing = [name for name in content[1:] if pair[name].nunique(dropna=False) > 1]
        column = "labels" if differing[0] == "key" else differing[0]
        values = " and ".join(repr(value) for value in pair[differing[0]])
        raise InputError(
            table,
            f"'{path}' is listed twice with different {column}: {values}",
            "Keep one of the rows",
            " and ".join(map(str, pair.row)),
        )
    rows = []
    if repeats.any():
        where = audit.at(os.path.basename(table), frame.row[repeats].tolist())
        reason = "exact repeat of an earlier row"
        rows.append(audit.row("deduplicate", "dropped", where, reason, count=repeats.sum()))
    return kept.drop(columns="key").reset_index(drop=True), rows


def _ids(frame, table: str):
    """The id of each sample, its path where it has none; InputError for two that are one."""
    from histopair.files import audit, folding

    nameless = frame.id.isna()
    if nameless.all():
        return frame.path, []
    ids = frame.id.dropna().drop_duplicates()
    keys = ids.map(folding.key)
    if keys.duplicated().any():
        same = ids[keys == keys[keys.duplicated()].iloc[0]].iloc[:2]
        raise InputError(
            table,
            f"the ids {' and '.join(map(repr, same))} are one, written in two ways",
            "Give each sample an id of its own",
            " and ".join(map(str, frame.row[same.index])),
        )
    if not nameless.any():
        return frame.id, []
    where = audit.at(os.path.basename(table), frame.row[nameless].tolist())
    reason = "no id: the path stands for it"
    rows = [audit.row("read", "renamed", where, reason, count=nameless.sum())]
    return frame.id.where(~nameless, frame.path), rows


def _class_names(frame) -> dict[str, str]:
    """Label -> text, where each label has one label_name."""
    if frame.label_name.isna().all():
        return {}
    pairs = frame.dropna(subset=["label", "label_name"])[["label", "label_name"]]
    pairs = pairs.drop_duplicates()
    return dict(pairs[~pairs.label.duplicated(keep=False)].itertuples(index=False, name=None))


def _filled(frame, column: str, table: str) -> None:
    empty = frame[column].isna() | (frame[column].str.strip() == "")
    if empty.any():
        raise InputError(
            table,
            f"the cell '{column}' is empty",
            "Fill it or remove the row",
            frame.row[empty.idxmax()],
        )
