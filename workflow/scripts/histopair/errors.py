"""The one error for bad input: which file, which row, what is wrong, what to do."""

import difflib
from collections.abc import Iterable
from pathlib import Path


class InputError(Exception):
    """Bad input that its author can mend; printed as one line, without a traceback."""

    def __init__(self, file: str | Path, problem: str, remedy: str, row: int | str | None = None):
        where = f"{file}, row {row}" if row is not None else str(file)
        super().__init__(" ".join(f"{where}: {problem}. {remedy}".splitlines()))


def require_classes(key: str, named: Iterable[str], classes: list[str]) -> None:
    """Raise InputError for the first of the `named` that is no class, with what is most like it."""
    for name in sorted(set(named) - set(classes)):
        problem = f"{name!r} is no class of the dataset{nearest(name, classes)}"
        raise InputError(key, problem, f"The classes are {', '.join(map(repr, classes))}")


def nearest(name: object, allowed: Iterable) -> str:
    """Words for the allowed name that is most like a wrong one; "" where none is like it."""
    known = {str(other).casefold(): other for other in allowed}
    found = difflib.get_close_matches(str(name).casefold(), known, n=1)
    return f" (did you mean {known[found[0]]!r}?)" if found else ""
