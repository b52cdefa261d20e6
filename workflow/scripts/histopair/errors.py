"""The one error for bad input: which file, which row, what is wrong, what to do."""

from pathlib import Path


class InputError(Exception):
    """Bad input that its author can mend; printed as one line, without a traceback."""

    def __init__(self, file: str | Path, problem: str, remedy: str, row: int | str | None = None):
        where = f"{file}, row {row}" if row is not None else str(file)
        super().__init__(" ".join(f"{where}: {problem}. {remedy}".splitlines()))
