"""The audit: what cleaning dropped, merged or renamed, and why; one row per reason or label.

Snakemake deletes the outputs of a failed job, so `jobs.job` keeps the audit beside the log.
Snakemake's start imports this file too, so it loads pyarrow only to write.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from histopair.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS = ("step", "action", "subject", "before", "after", "reason")
STEPS = ("read", "clean", "standardise", "quarantine", "deduplicate", "amend", "split", "chunk")
# "unread": a file that is, or may be, an image but is not a sample.
ACTIONS = ("dropped", "merged", "renamed", "quarantined", "unread", "warned", "kept", "cut")
ACTIONS += ("amended",)


def row(
    step: str,
    action: str,
    subject: object,
    reason: str,
    before: object = None,
    after: object = None,
    count: int = 1,
) -> dict:
    """One audit row; `subject` is a label or a file with rows, `count` how many samples."""
    assert step in STEPS, step
    assert action in ACTIONS, action
    before, after = (None if value is None else str(value) for value in (before, after))
    texts = (step, action, str(subject), before, after, reason)
    return dict(zip(TEXTS, texts, strict=True), count=int(count))


def of_rows(
    step: str, action: str, file: object, rows: Iterable[int], reason: str, before: object = None
) -> list[dict]:
    """The audit row of some rows of a file, by their numbers; none where there are no rows."""
    rows = list(rows)
    if not rows:
        return []
    return [row(step, action, at(file, rows), reason, before, count=len(rows))]


def table(rows: Iterable[dict]) -> "pa.Table":
    """The audit rows as a table of the artifact's schema, even if there are none."""
    import pyarrow as pa

    schema = pa.schema([*((name, pa.string()) for name in TEXTS), ("count", pa.int64())])
    return pa.Table.from_pylist(list(rows), schema=schema)


@contextmanager
def kept(path: str | Path, about: dict) -> Iterator[list[dict]]:
    """Collect a step's rows; if bad input ends the step, write them to `path`.

    The error then names `path`. A step that succeeds writes its rows itself.
    """
    from histopair.files import tables

    rows: list[dict] = []
    try:
        yield rows
    except InputError as error:
        if rows:
            tables.write(path, table(rows), about)
            error.audit = Path(path)
        raise


def listed(values: Sequence, most: int = 5) -> str:
    """The first values, and how many more there are.

    >>> listed([3, 7, 9], most=2)
    '3, 7 and 1 more'
    """
    shown = ", ".join(str(value) for value in values[:most])
    return shown if len(values) <= most else f"{shown} and {len(values) - most} more"


def at(file: object, rows: Sequence[int]) -> str:
    """A subject: the file and its first few rows."""
    return f"{file}, row{'s' if len(rows) > 1 else ''} {listed(list(rows), 3)}"
