"""The one error for bad input: which file, which row, what is wrong, what to do."""

import difflib
import errno
from collections.abc import Iterable, Iterator
from pathlib import Path

SYSTEM = {
    errno.ENOENT: ("there is no such file", "Correct the path"),
    errno.ENOTDIR: ("there is no such file", "Correct the path"),
    errno.EISDIR: ("it is a folder", "Give a file"),
    errno.EACCES: ("there is no permission to read it", "Ask its owner, or run chmod u+rX on it"),
    errno.EPERM: ("there is no permission to read it", "Ask its owner, or run chmod u+rX on it"),
    errno.EAGAIN: ("it is locked: another program writes to it", "Close that program and rerun"),
    errno.ENOSPC: ("no space is left on its disk", "Free some space and rerun"),
    errno.EDQUOT: ("your quota of its disk is used up", "Free some space and rerun"),
    errno.ELOOP: ("it is a link to itself", "Correct the link"),
}


FULL = (errno.ENOSPC, errno.EDQUOT)


class InputError(Exception):
    """Bad input that its author can mend; printed as one line, without a traceback.

    `audit` is the table of what was dropped before, where the step that failed keeps one. `where`,
    `problem` and `remedy` are the parts of the line.
    """

    audit: Path | None = None

    def __init__(self, file: str | Path, problem: str, remedy: str, row: int | str | None = None):
        where = f"{file}, row {row}" if row is not None else str(file)
        self.where, self.problem, self.remedy = where, problem, remedy
        super().__init__(" ".join(f"{where}: {problem}. {remedy}".splitlines()))

    def __str__(self) -> str:
        said = super().__str__()
        return f"{said}. What was found until then: {self.audit}" if self.audit else said


def of_system(file: str | Path, error: OSError) -> InputError:
    """What the system says of a file or folder that cannot be read."""
    said = (error.strerror or str(error), "Restore it, or correct the path")
    return InputError(file, *SYSTEM.get(error.errno, said))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it was raised for, one after the other."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


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
