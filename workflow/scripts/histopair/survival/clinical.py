"""Time and event of each patient from a clinical csv, as trials, CLAM and cBioPortal write it."""

import math

import pandas as pd

from histopair import sheets
from histopair.errors import InputError

EVENTS = {"1": True, "0": False, "true": True, "false": False, "yes": True, "no": False}
EVENTS |= {"deceased": True, "dead": True, "living": False, "alive": False}
EVENTS |= {"event": True, "censored": False}
COLUMNS = {"patient": "patient", "time": "time", "event": "event", "slide": "slide"}


def read(path: str, columns: dict[str, str] | None = None) -> pd.DataFrame:
    """One row per row of the csv: patient, slide (or null), time, event, row (for messages).

    `columns` gives the csv's names for patient, time, event and slide. Times are in any one unit.
    A patient may have several rows, one per slide, that agree. A row with neither time nor event
    (cBioPortal leaves both empty) has null in both. Raises InputError, with the row, for a time
    that is no number, negative or not finite, an event that is not 0/1, true/false,
    "1:DECEASED"/"0:LIVING" or such, and rows of one patient that disagree.
    """
    frame = sheets.read(path, ["patient", "time", "event"], ["slide"], COLUMNS | (columns or {}))
    for name in ("patient", "time", "event", "slide"):
        frame[name] = frame[name].str.strip().replace("", None)
    nameless = frame["patient"].isna()
    if nameless.any():
        row = int(frame.loc[nameless.idxmax(), "row"])
        raise InputError(path, "the patient is empty", "Fill it or remove the row", row)
    frame["time"] = [_time(*cell, path) for cell in zip(frame["time"], frame["row"], strict=True)]
    events = [_event(*cell, path) for cell in zip(frame["event"], frame["row"], strict=True)]
    frame["event"] = pd.array(events, dtype="boolean")
    half = frame["time"].isna() != frame["event"].isna()
    if half.any():
        first = frame.loc[half.idxmax()]
        has_time = pd.notna(first["time"])
        given, missing = ("a time", "event") if has_time else ("an event", "time")
        problem = f"patient {first['patient']!r} has {given} but no {missing}"
        raise InputError(path, problem, "Fill both, or empty both", int(first["row"]))
    _require_agreement(frame, path)
    return frame[["patient", "slide", "time", "event", "row"]]


def _time(text: str | None, row: int, path: str) -> float:
    if text is None or (isinstance(text, float) and math.isnan(text)) or _missing(text):
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise InputError(
            path, f"the time {text!r} is not a number of 0 or more", "Correct it or empty it", row
        )
    return value


def _event(text: str | None, row: int, path: str) -> bool | None:
    if text is None or (isinstance(text, float) and math.isnan(text)) or _missing(text):
        return None
    for word in (text, *reversed(text.split(":", 1))):  # "1:DECEASED" as a whole, then its parts
        known = EVENTS.get(_whole(word.strip().casefold()))
        if known is not None:
            return known
    raise InputError(
        path,
        f"the event {text!r} is unknown",
        "Use 1 or 0, true or false, or cBioPortal's 1:DECEASED and 0:LIVING",
        row,
    )


def _whole(word: str) -> str:
    """Numbers as tables of other tools write them: 1.0 is 1."""
    return word.removesuffix(".0")


def _missing(text: str) -> bool:
    return text.casefold() in ("", "na", "nan", "[not available]")


def _require_agreement(frame: pd.DataFrame, path: str) -> None:
    seen: dict[str, tuple] = {}
    for patient, time, event, row in frame[["patient", "time", "event", "row"]].itertuples(
        index=False
    ):
        said = (str(time), str(event))
        before, first = seen.setdefault(patient, (said, row))
        if before != said:
            raise InputError(
                path,
                f"patient {patient!r} has other times or events than in row {first}",
                "Keep one of them",
                row,
            )
