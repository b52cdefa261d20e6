"""Report tables: TCGA-Reports (patient_filename, text), and any csv of an id and a text.

One corpus may join several tables, each with its own columns.
"""

READS = "reports"
COLUMNS = {"id": "patient_filename", "text": "text"}
PER_TABLE = ("id", "text", "group", "organ_column", "organ_is")


def inputs(entry: dict) -> list[str]:
    """The tables, and the table of cancer types if there is one."""
    types = entry.get("cancer_types")
    return [table["table"] for table in _tables(entry)] + ([types] if types else [])


def check(entry: dict) -> None:
    """Raise InputError where a table lacks a column."""
    from histopair.files import sheets

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

    from histopair.files import audit, folding

    frames = [_read_table(table) for table in _tables(entry)]
    rows = [row for part in frames for row in part.attrs.pop("audit")]
    frame = pd.concat(frames, ignore_index=True)
    nameless = frame.report_id.isna()
    if nameless.any():
        where = audit.at(frame.file[nameless].iloc[0], frame.row[nameless].tolist())
        rows.append(audit.row("read", "dropped", where, "no id", count=nameless.sum()))
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
    """Columns that a table must have and may have, and what it calls those that it names."""
    columns = {name: table[name] for name in ("id", "text", "group") if name in table}
    if "organ_column" in table:
        columns["organ"] = table["organ_column"]
    required = ["id", "text", *(name for name in ("group", "organ") if name in columns)]
    if "id" not in columns:
        columns["id"] = _id_column(table["table"])
    return required, [name for name in ("group", "organ") if name not in columns], columns


def _read_table(table: dict):
    import os

    from histopair.files import sheets

    frame = sheets.read(table["table"], *_columns(table), texts=("text",))
    frame["group"] = frame.group.where(frame.group.notna(), frame.id.str.split(".", n=1).str[0])
    frame["organ"] = table.get("organ_is", frame.organ)
    frame["file"] = os.path.basename(table["table"])
    return frame.rename(columns={"id": "report_id", "organ": "organ_given"})


def _id_column(path: str) -> str:
    """`patient_filename` where the table has it, else `id`."""
    from histopair.files import sheets

    found = {name.casefold() for name in sheets.heading(path, COLUMNS.values())}
    return COLUMNS["id"] if COLUMNS["id"] in found or "id" not in found else "id"


def _distinct(frame):
    """Drop rows repeated exactly; one id with two texts is an error. 7 and 7.0 are one id."""
    from histopair.errors import InputError
    from histopair.files import audit, folding

    frame = frame.assign(key=frame.report_id.map(folding.key))
    repeats = frame.duplicated(["key", "text"])
    kept = frame[~repeats].reset_index(drop=True)
    double = kept.key.duplicated(keep=False)
    if double.any():
        pair = kept[kept.key == kept.key[double].iloc[0]].iloc[:2]
        ids = " or ".join(f"'{name}'" for name in pair.report_id.unique())
        raise InputError(
            " and ".join(pair.file.unique()),
            f"the id {ids} stands for two different texts",
            "Give each report an id of its own",
            " and ".join(map(str, pair.row)),
        )
    kept = kept.drop(columns="key")
    if not repeats.any():
        return kept, []
    where = audit.at(frame.file[repeats].iloc[0], frame.row[repeats].tolist())
    reason = "exact repeat of an earlier row"
    return kept, [audit.row("deduplicate", "dropped", where, reason, count=repeats.sum())]
