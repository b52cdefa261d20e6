"""Change what stands in a finished run, as a person might by hand, and ask the standing check."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from commands import audit
from recompute import artifacts


def disagreements(results: Path, *kinds: str) -> list[str]:
    """Those of all checks, or of the checks of some kinds."""
    artifacts.forget()
    checks = [check for subject in audit.SUBJECTS for check in subject.CHECKS]
    tallies = [check(results) for check in checks if not kinds or check.__name__ in kinds]
    return [line for tally in tallies for line in tally.disagreements]


def disagreements_after(change, file: Path, results: Path, *kinds: str) -> list[str]:
    """Those once a file is changed; the change is undone."""
    before = file.read_bytes()
    change(file)
    try:
        return disagreements(results, *kinds)
    finally:
        file.write_bytes(before)


def assert_named(results: Path, kind: str, name: str, change, words: str) -> None:
    """The check of a kind names the changed file and says the words of its disagreement."""
    file = results / name
    lines = disagreements_after(change, file, results, kind)
    named = [
        line for line in lines if line.startswith((f"{file}: ", f"{file.parent}/metrics.json"))
    ]
    assert any(words in line for line in named), lines[:3]


def parquet_table(change):
    """Change a parquet file's table; what made it and its types stay."""

    def edit(file: Path) -> None:
        table = pq.read_table(file)
        frame = change(table.to_pandas())
        pq.write_table(pa.Table.from_pandas(frame, table.schema, preserve_index=False), file)

    return edit


def cell(column: str, change, where=None):
    """Change one value of a column: the first, or the first where `where` holds."""

    def edit(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].astype(object).copy()
        place = 0 if where is None else int(np.flatnonzero(frame.apply(where, axis=1))[0])
        values.iloc[place] = change(values.iloc[place])
        return frame.assign(**{column: values})

    return edit


def csv_cell(column: str, change, where=None):
    """Change one value of a csv file, as `cell` does."""
    return csv_table(cell(column, change, where))


def csv_table(change):
    """Change a csv file's table."""

    def edit(file: Path) -> None:
        change(pd.read_csv(file)).to_csv(file, index=False)

    return edit


def json_value(*path: str, change=lambda value: value + 0.01):
    """Change the value at a path of keys."""

    def edit(file: Path) -> None:
        top = inner = json.loads(file.read_text())
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = change(inner.get(path[-1]))
        file.write_text(json.dumps(top))

    return edit
