"""Reports: TCGA-Reports (patient_filename, text), and any table or folder of texts.

A table is a csv, parquet, JSON or JSON lines with a text in one column or several, or a text file
with one text a line; a folder has one text a file. One corpus may join several of them, each with
its own columns.
"""

import os

from histopair.errors import InputError
from histopair.files import audit, folding, records, sheets

READS = "reports"
OF_TCGA = "patient_filename"  # a patient, a dot and the name of a file
IDS = (OF_TCGA, "id")  # columns of the report's name, the first that a table has
BARCODE = r"(?i)(?:^|/)(TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})(?![A-Z0-9])"  # of a patient
STOPS = tuple(".;:!?。！？；")
PER_TABLE = ("id", "text", "group", "organ_column", "organ_is")


def inputs(entry: dict) -> list[str]:
    """The tables with the texts of folders, and the table of cancer types if there is one."""
    tables = [file for table in _tables(entry) for file in records.files(table["table"])]
    return tables + [entry[key] for key in ("cancer_types",) if key in entry]


def check(entry: dict) -> None:
    """Raise InputError if a table lacks a column, or names no patient for the cancer types."""
    for table in _tables(entry):
        records.require(table["table"], *_columns(table))
        if "cancer_types" in entry and "group" not in table and _id_column(table) is None:
            problem = "it names no patient, and cancer types are those of patients"
            raise InputError(table["table"], problem, "Give its column `id` or `group`")
    if "cancer_types" in entry:
        sheets.require(entry["cancer_types"], ["patient_id", "cancer_type"])


def read(entry: dict):
    """Read all tables: (frame of report_id, group, organ_given, text, file, row; audit rows).

    The group (patient) is the part of a `patient_filename` before its first dot, the barcode of
    another id of TCGA, or else the id: in 2023.001 and 2023.002 the dot parts no patient from a
    file. A report without a column for its id is named by its file and row. Raises InputError for
    a missing file or column, an id that stands for different texts, patients or organs or is a
    rounded number, and as `check` does.
    """
    import pandas as pd

    check(entry)
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
    columns = {"id": _id_column(table), **_text_columns(table)}
    columns |= {"group": table.get("group"), "organ": table.get("organ_column")}
    columns = {name: column for name, column in columns.items() if column is not None}
    return list(columns), [name for name in ("group", "organ") if name not in columns], columns


def _text_columns(table: dict) -> dict[str, str]:
    """Our names -> its names of the columns whose texts make a report, in their order."""
    columns = table.get("text", "text")
    if isinstance(columns, str):
        return {"text": columns}
    return {f"text {column}": column for column in columns}


def _id_column(table: dict) -> str | None:
    """The column of the report's name; None if there is none."""
    if "id" in table:
        return table["id"]
    wanted = [*IDS, *_text_columns(table).values()]
    found = _of_ids(records.heading(table["table"], wanted))
    return found or _of_ids(records.keys(table["table"]))


def _of_ids(names: list[str]) -> str | None:
    """The first of IDS that is among the names."""
    there = {name.casefold() for name in names}
    return next((name for name in IDS if name in there), None)


def _read_table(table: dict):
    required, optional, columns = _columns(table)
    texts = list(_text_columns(table))
    frame = records.read(table["table"], required, optional, columns, texts=texts)
    sheets.require_exact(frame, [name for name in ("id", "group") if name in frame], table["table"])
    file = os.path.basename(os.path.normpath(table["table"]))
    if "id" not in required:
        frame["id"] = os.path.splitext(file)[0] + ":" + frame.row.astype(str)
        frame["group"] = frame.group.where(frame.group.notna(), frame.id)
        reason = "no column of ids: file and row name each report"
        frame.attrs["audit"].append(audit.row("read", "renamed", file, reason, count=len(frame)))
    frame["group"] = frame.group.where(frame.group.notna(), _patients(frame.id, columns))
    frame["organ"] = table.get("organ_is", frame.organ)
    frame["file"] = file
    if texts != ["text"]:
        frame["text"] = _joined(frame[texts])
    return frame.rename(columns={"id": "report_id", "organ": "organ_given"})


def _patients(ids, columns: dict[str, str]):
    """The patient of each id, as `read` says; columns: our names -> its names."""
    if columns.get("id", "").casefold() == OF_TCGA:
        return ids.str.extract("^([^.]*)", expand=False)
    barcodes = ids.str.extract(BARCODE, expand=False)
    return barcodes.where(barcodes.notna(), ids)


def _joined(columns):
    """The texts of several columns as one; each ends as a sentence, equal ones stand once."""
    import pandas as pd

    rows = [[text.strip() for text in row if isinstance(text, str)] for row in columns.to_numpy()]
    whole = [" ".join(map(_ended, filter(None, dict.fromkeys(row)))) or None for row in rows]
    return pd.Series(whole, index=columns.index, dtype="str")


def _ended(text: str) -> str:
    return text if text.endswith(STOPS) else f"{text}."


def _distinct(frame):
    """Drop rows repeated exactly; one id with two texts, patients or organs is an error.

    7 and 7.0 are one id.
    """
    names = {"text": "texts", "patient": "patients", "organ": "organs"}
    keys = {"key": frame.report_id, "patient": frame.group, "organ": frame.organ_given}
    keys = {name: texts.map(folding.key, na_action="ignore") for name, texts in keys.items()}
    frame = frame.assign(**keys)
    repeats = frame.duplicated(["key", *names])
    kept = frame[~repeats].reset_index(drop=True)
    pair = sheets.twins(kept, kept.key).iloc[:2]
    if len(pair):
        ids = " or ".join(f"'{name}'" for name in pair.report_id.unique())
        differing = next(what for name, what in names.items() if pair[name].nunique(False) > 1)
        problem = f"the id {ids} stands for two different {differing}"
        files, rows = " and ".join(pair.file.unique()), " and ".join(map(str, pair.row))
        raise InputError(files, problem, "Give each report an id of its own", rows)
    rows = _dropped("deduplicate", frame[repeats], "exact repeat of an earlier row")
    return kept.drop(columns=list(keys)), rows


def _dropped(step: str, rows, reason: str) -> list[dict]:
    return audit.of_rows(step, "dropped", next(iter(rows.file), None), rows.row, reason)
