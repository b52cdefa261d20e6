"""The one error for bad input: which file, which row, what is wrong, what to do."""

import errno
from pathlib import Path

SYSTEM = {
    errno.ENOENT: ("there is no such file", "Correct the path in the config"),
    errno.ENOTDIR: ("there is no such file", "Correct the path in the config"),
    errno.EISDIR: ("it is a folder", "Give a file"),
    errno.EACCES: ("there is no permission to read it", "Ask its owner, or run chmod u+rX on it"),
    errno.EPERM: ("there is no permission to read it", "Ask its owner, or run chmod u+rX on it"),
    errno.EAGAIN: ("it is locked: another program writes to it", "Close that program and rerun"),
    errno.ELOOP: ("it is a link to itself", "Correct the link"),
}


class InputError(Exception):
    """Bad input that its author can mend; printed as one line, without a traceback.

    `audit` is the table of what was dropped before, where the step that failed keeps one.
    """

    audit: Path | None = None

    def __init__(self, file: str | Path, problem: str, remedy: str, row: int | str | None = None):
        where = f"{file}, row {row}" if row is not None else str(file)
        super().__init__(" ".join(f"{where}: {problem}. {remedy}".splitlines()))

    def __str__(self) -> str:
        said = super().__str__()
        return f"{said}. What was found until then: {self.audit}" if self.audit else said


def of_system(file: str | Path, error: OSError) -> InputError:
    """What the system says of a file or folder that cannot be read."""
    said = (error.strerror or str(error), "Restore it, or correct the path")
    return InputError(file, *SYSTEM.get(error.errno, said))
