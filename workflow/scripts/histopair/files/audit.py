"""The audit: what cleaning dropped, merged or renamed, and why; one row per reason or label.

Snakemake deletes what a failed job has written: `jobs.job` keeps the audit beside the log.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from histopair.errors import InputError
from histopair.files import tables

SCHEMA = pa.schema(
    [
        ("step", pa.string()),
        ("action", pa.string()),
        ("subject", pa.string()),
        ("before", pa.string()),
        ("after", pa.string()),
        ("reason", pa.string()),
        ("count", pa.int64()),
    ]
)
STEPS = ("read", "clean", "standardise", "quarantine", "deduplicate", "split", "chunk")
# "unread": an image, or what may be one, that is there and no sample.
ACTIONS = ("dropped", "merged", "renamed", "quarantined", "unread", "warned", "kept", "cut")


def row(
    step: str,
    action: str,
    subject: object,
    reason: str,
    before: object = None,
    after: object = None,
    count: int = 1,
) -> dict:
    """One audit row; `subject` is a label or a file with rows, `count` the samples concerned."""
    assert step in STEPS, step
    assert action in ACTIONS, action
    text = [None if value is None else str(value) for value in (before, after)]
    return dict(
        step=step,
        action=action,
        subject=str(subject),
        before=text[0],
        after=text[1],
        reason=reason,
        count=int(count),
    )


def table(rows: Iterable[dict]) -> pa.Table:
    """The audit rows as a table of the artifact's schema, also where there are none."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


@contextmanager
def kept(path: str | Path, about: dict) -> Iterator[list[dict]]:
    """Collect a step's rows. Where bad input ends the step, they are at `path`, as its error says.

    Where it succeeds, the step writes them itself.
    """
    rows: list[dict] = []
    try:
        yield rows
    except InputError as error:
        if rows:
            tables.write(path, table(rows), about)
            error.audit = Path(path)
        raise


def listed(values: Sequence, most: int = 5) -> str:
    """The first values and how many more there are.

    >>> listed([3, 7, 9], most=2)
    '3, 7 and 1 more'
    """
    shown = ", ".join(str(value) for value in values[:most])
    return shown if len(values) <= most else f"{shown} and {len(values) - most} more"


def at(file: object, rows: Sequence[int]) -> str:
    """A subject: the file and its first few rows."""
    return f"{file}, row{'s' if len(rows) > 1 else ''} {listed(list(rows), 3)}"
