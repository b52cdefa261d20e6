"""Report tables: TCGA-Reports (patient_filename, text), and any csv of an id and a text.

One corpus may join several tables, each with its own columns.
"""

import os

from histopair.errors import InputError
from histopair.files import audit, folding, sheets

READS = "reports"
COLUMNS = {"id": "patient_filename", "text": "text"}
PER_TABLE = ("id", "text", "group", "organ_column", "organ_is")


def inputs(entry: dict) -> list[str]:
    """The tables, and the table of cancer types if there is one."""
    types = entry.get("cancer_types")
    return [table["table"] for table in _tables(entry)] + ([types] if types else [])


def check(entry: dict) -> None:
    """Raise InputError if a table lacks a column."""
    for table in _tables(entry):
        sheets.require(table["table"], *_columns(table))
    if "cancer_types" in entry:
        sheets.require(entry["cancer_types"], ["patient_id", "cancer_type"])


def read(entry: dict):
    """Read all tables: (frame of report_id, group, organ_given, text, file, row; audit rows).

    The group (patient) is the part of the id before its first dot. Raises InputError for a missing
    file or column and an id that stands for different texts.
    """
    import pandas as pd

    frames = [_read_table(table) for table in _tables(entry)]
    rows = [row for part in frames for row in part.attrs.pop("audit")]
    frame = pd.concat(frames, ignore_index=True)
    nameless = frame.report_id.isna()
    rows += _dropped("read", frame[nameless], "no id")
    frame, repeated = _distinct(frame[~nameless].reset_index(drop=True))
    frame["group"], united = folding.united(frame.group, "group")
    return frame, rows + repeated + united


def _tables(entry: dict) -> list[dict]:
    """One dict per table: its path, and its columns, by default those of the entry."""
    shared = {key: entry[key] for key in PER_TABLE if key in entry}
    listed = entry["tables"] if "tables" in entry else [entry["table"]]
    named = [{"table": table} if isinstance(table, str) else table for table in listed]
    return [shared | table for table in named]


def _columns(table: dict) -> tuple[list[str], list[str], dict[str, str]]:
    """The columns that a table must have, those that it may have, and our names -> its names."""
    columns = {name: table[name] for name in ("id", "text", "group") if name in table}
    if "organ_column" in table:
        columns["organ"] = table["organ_column"]
    required = ["id", "text", *(name for name in ("group", "organ") if name in columns)]
    if "id" not in columns:
        columns["id"] = _id_column(table["table"])
    return required, [name for name in ("group", "organ") if name not in columns], columns


def _read_table(table: dict):
    frame = sheets.read(table["table"], *_columns(table), texts=("text",))
    frame["group"] = frame.group.where(frame.group.notna(), frame.id.str.split(".", n=1).str[0])
    frame["organ"] = table.get("organ_is", frame.organ)
    frame["file"] = os.path.basename(table["table"])
    return frame.rename(columns={"id": "report_id", "organ": "organ_given"})


def _id_column(path: str) -> str:
    """`patient_filename` if the table has it, else `id`."""
    names = {name.casefold() for name in sheets.heading(path, COLUMNS.values())}
    return COLUMNS["id"] if COLUMNS["id"] in names or "id" not in names else "id"


def _distinct(frame):
    """Drop rows repeated exactly; one id with two texts is an error. 7 and 7.0 are one id."""
    frame = frame.assign(key=frame.report_id.map(folding.key))
    repeats = frame.duplicated(["key", "text"])
    kept = frame[~repeats].reset_index(drop=True)
    pair = sheets.twins(kept, kept.key).iloc[:2]
    if len(pair):
        ids = " or ".join(f"'{name}'" for name in pair.report_id.unique())
        problem = f"the id {ids} stands for two different texts"
        files, rows = " and ".join(pair.file.unique()), " and ".join(map(str, pair.row))
        raise InputError(files, problem, "Give each report an id of its own", rows)
    rows = _dropped("deduplicate", frame[repeats], "exact repeat of an earlier row")
    return kept.drop(columns="key"), rows


def _dropped(step: str, rows, reason: str) -> list[dict]:
    return audit.of_rows(step, "dropped", next(iter(rows.file), None), rows.row, reason)
