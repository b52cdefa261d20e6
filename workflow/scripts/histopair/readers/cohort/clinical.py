"""Time and event of each patient from a clinical csv, as trials, CLAM and cBioPortal write it."""

import math
import re

import pandas as pd

from histopair.errors import InputError
from histopair.files import folding, sheets

EVENTS = {"1": True, "0": False, "true": True, "false": False, "yes": True, "no": False}
EVENTS |= {"deceased": True, "dead": True, "living": False, "alive": False}
EVENTS |= {"event": True, "censored": False}
EVENTS |= {"1.000": True, "0.000": False}
# What these mean, only the column's name says.
CODES = {"1", "0", "1.000", "0.000", "true", "false", "yes", "no"}
OPPOSITE = re.compile(
    r"(?<!un)(censor|censur|zens[iu]|alive|living|survived|(?<![a-z])cens(?![a-z]))"
)
UNIT = re.compile(r"(?<![a-z])(day|week|month|year)s?(?![a-z])")
NUMBER = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+(?:[.,]|e[+-]?[0-9]+)?", re.I)
THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+")
POINTED = re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+")  # thousands in German, or three decimals


def read(path: str, columns: dict[str, str] | None = None) -> pd.DataFrame:
    """One row per row of the csv: patient, slide (or null), time, event, row (for messages).

    `columns` gives the csv's names for patient, time, event and slide. All times have the same
    unit, whichever. A patient may have several rows, one per slide, that agree; names that differ
    only in case, Unicode form, or like 7 and 7.0 mean one patient. A row with neither time nor
    event (cBioPortal leaves both empty) has null in both. Raises InputError, with the row, for a
    time that is not a number, negative or not finite, an event that is not 0/1, true/false,
    "1:DECEASED"/"0:LIVING" or such, events in codes below a name that says the opposite
    (censorship), rows of one patient that disagree, and a patient that was rounded (1.23E+16).
    Audit rows are in attrs["audit"].
    """
    frame = sheets.read(path, ["patient", "time", "event"], ["slide"], columns, texts=("slide",))
    notes = frame.attrs["audit"]
    frame["slide"] = frame["slide"].str.strip()
    nameless = frame["patient"].isna()
    if nameless.any():
        row = int(frame.loc[nameless.idxmax(), "row"])
        raise InputError(path, "the patient is empty", "Fill it or remove the row", row)
    sheets.require_exact(frame, ["patient"], path)
    frame["patient"], united = folding.united(frame["patient"], "patient")
    frame = frame.astype(object).where(frame.notna(), None)
    _require_one_reading(frame["time"], frame["row"], path)
    frame["time"] = [_time(*cell, path) for cell in zip(frame["time"], frame["row"], strict=True)]
    frame["time"] = frame["time"].astype(float)
    _require_not_opposite((columns or {}).get("event", "event"), frame, path)
    events = [_event(*cell, path) for cell in zip(frame["event"], frame["row"], strict=True)]
    frame["event"] = pd.array(events, dtype="boolean")
    half = frame["time"].isna() != frame["event"].isna()
    if half.any():
        first = frame.loc[half.idxmax()]
        has_time = pd.notna(first["time"])
        given, missing = ("a time", "event") if has_time else ("an event", "time")
        problem = f"patient {first['patient']!r} has {given} but no {missing}"
        raise InputError(path, problem, "Fill both or neither", int(first["row"]))
    _require_agreement(frame, path)
    frame = frame[["patient", "slide", "time", "event", "row"]]
    frame.attrs = {"audit": notes + united}
    return frame


def unit(columns: dict[str, str] | None) -> str | None:
    """The unit of the times, as the csv's name of their column says it: "os_days" are in days."""
    found = UNIT.findall(folding.plain((columns or {}).get("time", "time")))
    return f"{found[0]}s" if len(set(found)) == 1 else None


def _require_one_reading(texts: pd.Series, rows: pd.Series, path: str) -> None:
    """Raise InputError for 1.200 among whole numbers: it may be 1200, as Germans write thousands.

    Then all points part three digits, and numbers below a thousand have none.
    """
    given = texts.dropna()
    pointed = given.str.contains(".", regex=False)
    whole, thousands = given[~pointed], given[pointed]
    small = whole.str.fullmatch(r"[0-9]{1,3}")
    if len(whole) and len(thousands) and small.all() and thousands.str.fullmatch(POINTED).all():
        _refuse_thousands(thousands.iloc[0], "point", rows[thousands.index[0]], path)


def _refuse_thousands(text: str, mark: str, row: int, path: str):
    problem = f"the time {text!r} can be read in two ways: a {mark}, or thousands"
    remedy = "Write thousands without a mark, and decimals with a point (1.2 or 1.2000)"
    raise InputError(path, problem, remedy, row)


def _time(text: str | None, row: int, path: str) -> float:
    if text is None:
        return math.nan
    if THOUSANDS.fullmatch(text):
        _refuse_thousands(text, "comma", row, path)
    value = float(text.replace(",", ".")) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value) or value < 0:
        problem = f"the time {text!r} is not a number of 0 or more"
        raise InputError(path, problem, "Correct it or empty it", row)
    return value


def _event(text: str | None, row: int, path: str) -> bool | None:
    """The event of "1", "1:DECEASED" or "DECEASED:1", whose parts agree where both are known."""
    if text is None:
        return None
    parts = [EVENTS.get(folding.key(part)) for part in text.split(":", 1)]
    outcomes = {part for part in parts if part is not None}
    if len(outcomes) == 1:
        return outcomes.pop()
    raise InputError(
        path,
        f"the event {text!r} " + ("says both" if outcomes else "is unknown"),
        "Use 1 or 0, true or false, or cBioPortal's 1:DECEASED and 0:LIVING",
        row,
    )


def _require_not_opposite(name: str, frame: pd.DataFrame, path: str) -> None:
    """Raise InputError for the first bare code in a column `name` that is 1 where nothing happened.

    Patients would be taken for dead who are alive, and every risk would be turned round.
    """
    if not OPPOSITE.search(folding.plain(name)):
        return
    for text, row in zip(frame["event"], frame["row"], strict=True):
        if text is not None and folding.key(text) in CODES:
            problem = f"by its name the column '{name}' says the opposite of an event, and {text!r}"
            problem += " could mean either"
            remedy = "Give a column that is 1 where the event happened, with a name that says so"
            raise InputError(path, problem, remedy, row)


def _require_agreement(frame: pd.DataFrame, path: str) -> None:
    seen: dict[str, tuple] = {}
    columns = ["patient", "time", "event", "row"]
    for patient, *values, row in frame[columns].itertuples(index=False):
        outcome = [*map(str, values)]
        before, first = seen.setdefault(patient, (outcome, row))
        if before != outcome:
            problem = f"patient {patient!r} has a different time or event than in row {first}"
            raise InputError(path, problem, "Keep one of them", row)
