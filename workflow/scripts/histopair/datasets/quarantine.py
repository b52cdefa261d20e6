"""Unusable images are set aside with a reason; too many of them stop the run."""

import pandas as pd

from histopair import images
from histopair.datasets import image_checks
from histopair.errors import InputError
from histopair.files import audit

MOST = 0.05  # as in the schema


def check_read(frame: pd.DataFrame, rows: list[dict], entry: dict, name: str) -> None:
    """Raise InputError if more than `max_quarantined` of the images there were not read.

    rows: the audit of the reader.
    """
    unread = [row for row in rows if row["action"] == "unread"]
    count = sum(row["count"] for row in unread)
    total = count + frame.path.nunique()
    most = entry.get("max_quarantined", MOST)
    if count > most * total:
        shown = audit.listed([f"{row['subject']} ({row['reason']})" for row in unread], 3)
        raise InputError(
            name,
            f"{count} of {total} images are there but not read, more than the allowed share of "
            f"{most:g}: {shown}",
            "Move, rename or remove them, or raise `max_quarantined`",
        )


def check(
    frame: pd.DataFrame,
    entry: dict,
    name: str,
    rows: list[dict],
    shards: str | None = None,
    code: str | None = None,
):
    """Decode every image: (frame of good samples with sha256 and phash, quarantined rows).

    Adds what is wrong to the audit `rows`. The folder `shards` keeps the results: see
    `image_checks.check_all`. Raises InputError if more than `max_quarantined` of the images are
    bad, and for a path that leads outside the root.
    """
    distinct = frame.path.drop_duplicates()
    limit = entry.get("max_pixels", images.MAX_PIXELS)
    results = image_checks.check_all(
        entry["root"], distinct.tolist(), limit, f"{name}: images", shards, code
    )
    columns = image_checks.Checked._fields
    checked = pd.DataFrame(list(results), columns=columns, index=distinct.to_numpy(), dtype=object)
    bad = checked.reason.notna()
    is_bad = frame.path.map(bad)
    away = frame.loc[is_bad, ["path", "row"]].join(checked[["reason", "remedy"]], on="path")
    rows += _rows("quarantined", away.reason, away.path)
    rows += _rows("warned", checked.doubt, checked.index.to_series())
    most = entry.get("max_quarantined", MOST)
    if bad.sum() > most * len(distinct):
        shown = [f"{path} ({reason})" for path, reason in checked.reason[bad].iloc[:3].items()]
        raise InputError(
            name,
            f"{bad.sum()} of {len(distinct)} images cannot be used, more than the allowed share "
            f"of {most:g}: {', '.join(shown)}",
            f"{checked.remedy[bad].iloc[0]}, or raise `max_quarantined`",
        )
    if bad.all():
        raise InputError(name, "no image is left", "Correct `root`")
    frame = frame.assign(sha256=frame.path.map(checked.sha256), phash=frame.path.map(checked.phash))
    return frame[~is_bad].reset_index(drop=True), away


def _rows(action: str, reasons: pd.Series, paths: pd.Series) -> list[dict]:
    """One audit row for each reason, with the paths of its samples or images."""
    return [
        audit.row("quarantine", action, audit.listed([*part.unique()], 3), reason, count=len(part))
        for reason, part in paths.groupby(reasons, sort=True)
    ]
