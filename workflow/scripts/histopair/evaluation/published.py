"""A paper's own numbers, shown beside ours."""

import math
from collections.abc import Collection
from pathlib import Path

from histopair.errors import InputError
from histopair.evaluation import metrics
from histopair.files import missing, sheets

REQUIRED = ("method", "metric", "value", "note")
OPTIONAL = ("dataset", "encoder", "std")
COLUMNS = ["paper", "paper_std", "paper_note"]


def read(path: str | Path, choices: Collection[str] = metrics.METRICS) -> list[dict]:
    """The rows of a csv of REQUIRED and maybe OPTIONAL columns, with numbers as floats.

    `choices` are the metrics that exist. An empty dataset or encoder means any. `method` may hold
    several names, separated by spaces, if studies name the same method differently: each becomes a
    row. Raises InputError for a missing or unknown column, a row with more fields than columns, an
    unknown metric, a value or std that is not a number from 0 to 1, and a row that occurs twice.
    """
    columns = sheets.heading(path, (*REQUIRED, *OPTIONAL))
    for name in sorted({*REQUIRED, *columns} - {*REQUIRED, *OPTIONAL}) + [
        name for name in REQUIRED if name not in columns
    ]:
        problem = f"column {name!r} is {'unknown' if name in columns else 'missing'}"
        remedy = f"Columns are {', '.join(REQUIRED)}, and if wanted {', '.join(OPTIONAL)}"
        raise InputError(path, problem, remedy)
    given = {"value": missing.WORDS}  # a value of nan is a mistake to report
    table = sheets.read(path, REQUIRED, OPTIONAL, texts=("note",), values=given).fillna("")
    rows = [
        (entry["row"], row)
        for entry in table.to_dict("records")
        for row in _rows(entry, path, entry["row"], choices)
    ]
    seen = set()
    for line, row in rows:
        key = tuple(row[name] for name in ("dataset", "encoder", "method", "metric"))
        if key in seen:
            problem = f"{row['method']}, {row['metric']} occurs twice"
            raise InputError(path, problem, "Keep one", line)
        seen.add(key)
    return [row for _, row in rows]


def find(rows: list[dict], dataset: str, encoder: str, method: str, metric: str) -> dict:
    """The paper's number for this, in COLUMNS; {} if it has none.

    Of rows that fit, the one that names most of dataset and encoder.
    """
    fitting = [
        row
        for row in rows
        if (row["method"], row["metric"]) == (method, metric)
        and row["dataset"] in ("", dataset)
        and row["encoder"] in ("", encoder)
    ]
    if not fitting:
        return {}
    row = max(fitting, key=lambda row: bool(row["dataset"]) + bool(row["encoder"]))
    return dict(zip(COLUMNS, (row["value"], row["std"], row["note"]), strict=True))


def check(rows: list[dict], path: str | Path, methods: list[str]) -> None:
    """Raise InputError if no row has any of these methods: a name must be wrong then."""
    named = sorted({row["method"] for row in rows})
    if not set(named) & set(methods):
        problem = f"its methods ({', '.join(named)}) are none of the study's"
        raise InputError(path, problem, f"Name the study's methods: {', '.join(methods)}")


def _rows(row: dict, path: str | Path, line: int, choices: Collection[str]) -> list[dict]:
    """One row for each name of the method."""
    row = {name: row[name].strip() for name in (*REQUIRED, *OPTIONAL)}
    if row["metric"] not in choices:
        problem = f"no metric {row['metric']!r}"
        raise InputError(path, problem, f"Choose one of {', '.join(choices)}", line)
    row["value"] = _number(row["value"], path, line)
    row["std"] = _number(row["std"], path, line) if row["std"] else None
    return [row | {"method": name} for name in row["method"].split()]


def _number(text: str, path: str | Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        problem = "is not a number" if math.isnan(value) else "is not between 0 and 1"
        raise InputError(path, f"{text!r} {problem}", "Write 0.742 for 74.2%", line)
    return value
