"""The one error for bad input: which file, which row, what is wrong, what to do."""

import difflib
from collections.abc import Iterable
from pathlib import Path


class InputError(Exception):
    """Bad input that its author can mend; printed as one line, without a traceback."""

    def __init__(self, file: str | Path, problem: str, remedy: str, row: int | str | None = None):
        where = f"{file}, row {row}" if row is not None else str(file)
        super().__init__(" ".join(f"{where}: {problem}. {remedy}".splitlines()))


def nearest(name: object, allowed: Iterable) -> str:
    """Words for the allowed name that is most like a wrong one; "" where none is like it."""
    known = {str(other).casefold(): other for other in allowed}
    found = difflib.get_close_matches(str(name).casefold(), known, n=1)
    return f" (did you mean {known[found[0]]!r}?)" if found else ""
