"""Paths written in tables: one spelling each, never outside their root."""

import os
import posixpath

import pandas as pd

from histopair.errors import InputError


def relative(
    written: pd.Series, table: str, rows: pd.Series, below: str = "", root: str | None = None
) -> pd.Series:
    """One spelling per path: "a\\\\b.png", "./a/b.png" and "a//b.png" are "<below>/a/b.png".

    Absolute paths are accepted below `root`, where given. Raises InputError with the row for a
    path that leads outside.
    """
    spelled = written.str.strip().str.replace("\\", "/", regex=False)
    if root is not None:
        for prefix in {os.path.abspath(root), os.path.realpath(root)}:
            spelled = spelled.str.removeprefix(prefix + "/")
    absolute = spelled.str.match(r"/|[A-Za-z]:/")
    known = {path: posixpath.normpath(path) for path in spelled.unique()}
    normal = spelled.map(known)
    outside = absolute | (normal == "..") | normal.str.startswith("../") | (normal == ".")
    outside |= normal.str.contains("\0", regex=False)
    if outside.any():
        first = outside.idxmax()
        raise InputError(
            table,
            f"the path {written[first]!r} lies outside the dataset's folder",
            "Write it relative to that folder",
            rows[first],
        )
    return below + "/" + normal if below else normal
