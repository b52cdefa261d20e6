"""Accepted merges become rows of a label mapping; refused ones too, as labels that stay."""

import io
from pathlib import Path

import pandas as pd

from histopair.errors import InputError
from histopair.files import labels_map, missing, sheets, tables

YES, NO = ("yes", "y", "true", "1", "x"), ("no", "n", "false", "0")
COLUMNS = ["label", "standard", "reason"]
AS_WRITTEN = dict.fromkeys(COLUMNS, missing.WORDS)  # cleaning decides what NA means


def accept(proposals: str, mapping: str) -> str:
    """Add the answered rows of the csv `proposals` to the csv `mapping`; say what was done.

    A row whose `accept` is yes maps its label to its standard, which may have been edited; an empty
    standard drops the label. If `accept` is no, the label maps to itself, so that it is not
    proposed again. The mapping is sorted by standard and label; repeated answers change nothing.
    Raises InputError, and leaves the mapping as it was, for an answer that is neither, for a label
    with two standards and for a standard that is itself mapped to another.
    """
    rows = _answered(proposals)
    table = _table(mapping)
    decided = dict(zip(table.label, table.standard, strict=True))
    added = []
    for row in rows[rows.accept != ""].itertuples():
        refused = row.accept in NO
        standard = row.label if refused else row.standard
        if decided.get(row.label, standard) != standard:
            problem = f"'{row.label}' is already mapped to {_named(decided[row.label])}"
            raise InputError(proposals, problem, f"Keep one, here or in {mapping}", row.row)
        if row.label not in decided:
            decided[row.label] = standard
            reason = f"not {row.standard or 'dropped'}" if refused else row.reason
            added.append({"label": row.label, "standard": standard, "reason": reason})
    for row in rows[rows.accept.isin(YES)].itertuples():
        _unchained(row, decided, proposals)
    if added:
        _write(pd.concat([table, pd.DataFrame(added)], ignore_index=True), mapping)
    apart = sum(row["label"] == row["standard"] for row in added)
    return (
        f"{mapping}: {len(added) - apart} labels merged, {apart} kept apart; "
        f"{(rows.accept == '').sum()} of {len(rows)} proposals are undecided"
    )


def _answered(path: str) -> pd.DataFrame:
    """The proposals: label, standard, reason, accept (lower case), row."""
    frame = sheets.read(path, ["label", "standard", "accept"], ["reason"], values=AS_WRITTEN)
    names = ["label", "standard", "accept", "reason"]
    frame[names] = frame[names].fillna("").map(sheets.unguarded)
    frame["accept"] = frame.accept.str.lower()
    for row in frame.itertuples():
        if row.accept not in ("", *YES, *NO):
            problem = f"the answer '{row.accept}' is neither yes nor no"
            raise InputError(path, problem, "Write yes or no, or leave it empty", row.row)
    sheets.require_filled(frame[frame.accept != ""], "label", path)
    return frame


def _table(path: str) -> pd.DataFrame:
    """The mapping as it is, with all its columns; no rows if there is no mapping yet."""
    if not Path(path).exists():
        return pd.DataFrame(columns=COLUMNS, dtype=object)
    labels_map.read(path)  # no rows are added to a wrong mapping
    header = sheets.heading(path, COLUMNS)
    others = [name for name in header if name.casefold() not in COLUMNS]
    names = ["reason", *others]
    frame = sheets.read(path, ["label", "standard"], names, texts=names, values=AS_WRITTEN)
    frame = frame[[*COLUMNS, *others]].astype(object)
    frame[COLUMNS] = frame[COLUMNS].fillna("").map(str.strip)
    return frame.drop_duplicates(["label", "standard"])


def _unchained(row, decided: dict[str, str], proposals: str) -> None:
    """Raise InputError if the row's standard is mapped to another, or its label is a standard."""
    further = decided.get(row.standard, row.standard)
    if row.standard and further != row.standard:
        problem = f"the standard '{row.standard}' is itself mapped to {_named(further)}"
        raise InputError(proposals, problem, "Use that as the standard", row.row)
    others = [label for label, standard in decided.items() if standard == row.label != label]
    if others and row.standard != row.label:
        problem = f"'{row.label}' is the standard of '{others[0]}'"
        raise InputError(proposals, problem, f"Map '{others[0]}' to another first", row.row)


def _write(table: pd.DataFrame, path: str) -> None:
    key = table.standard.str.casefold() + "\0" + table.label.str.casefold() + "\0" + table.label
    text = io.StringIO()
    table.iloc[key.argsort(kind="stable")].to_csv(text, index=False)
    tables.write_text(path, text.getvalue())


def _named(standard: str) -> str:
    return f"'{standard}'" if standard else "nothing (dropped)"
