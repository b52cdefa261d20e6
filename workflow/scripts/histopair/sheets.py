"""CSV input as people have it: BOM, Windows line ends, semicolons or tabs, spaced headings."""

import csv
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from histopair.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
FIRST_ROW = 2  # as a spreadsheet numbers them: the heading is row 1


def read(
    path: str | Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    columns: dict[str, str] | None = None,
    any_case: bool = True,
) -> "pd.DataFrame":
    """Read columns of a csv as text, empty cells as missing, with a column `row` for messages.

    `optional` columns that the file lacks are all missing. `columns` maps our names to the file's
    where they differ. Raises InputError where the file is absent, empty, malformed or lacks a
    required column.
    """
    import pandas as pd

    path = Path(path)
    names = require(path, required, optional, columns, any_case)
    frame = _read(path, _separator(path), list(names.values()))
    frame = frame.rename(columns={file: name for name, file in names.items()})
    if frame.empty:
        raise InputError(path, "it has a heading but no rows", "Give it at least one row")
    for name in {*required, *optional} - set(names):
        frame[name] = pd.Series(None, index=frame.index, dtype="str")
    frame["row"] = range(FIRST_ROW, FIRST_ROW + len(frame))
    return frame


def require(
    path: str | Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    columns: dict[str, str] | None = None,
    any_case: bool = True,
) -> dict[str, str]:
    """Our name -> the heading's, for the columns that `read` would give; reads the heading alone.

    Raises InputError where the file is absent or empty, or lacks a required column.
    """
    path = Path(path)
    found = _heading(path)
    wanted = {(columns or {}).get(name, name): name for name in [*required, *optional]}
    names = _matched(path, found, wanted, any_case)
    missing = [file for file, name in wanted.items() if name in required and name not in names]
    if missing:
        raise InputError(
            path,
            f"there is no column {listed_names(missing)}; the columns found are "
            f"{listed_names(map(str.strip, found))}",
            "Rename a column, or give its name in the config",
        )
    return names


def heading(path: str | Path) -> list[str]:
    """The names of a csv's columns, without outer spaces."""
    return [name.strip() for name in _heading(Path(path))]


def guarded(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula: texts such as "=1+1" get an apostrophe."""
    formula = isinstance(cell, str) and cell.startswith(FORMULAS)
    return f"'{cell}" if formula else cell


def unguarded(cell: object) -> object:
    """What `guarded` was given."""
    marked = isinstance(cell, str) and cell[:1] == "'" and cell[1:].startswith(FORMULAS)
    return cell[1:] if marked else cell


def listed_names(names) -> str:
    """Names in a message, quoted, sorted as given."""
    return ", ".join(f"'{name}'" for name in names)


def _matched(path: Path, heading, wanted: dict[str, str], any_case: bool) -> dict[str, str]:
    """Our column name -> the heading as written; case and outer spaces do not matter."""

    def fold(name: str) -> str:
        return name.strip().casefold() if any_case else name.strip()

    names = {}
    for file, name in wanted.items():
        found = [column for column in heading if fold(column) == fold(file)]
        exact = [column for column in found if column.strip() == file]
        if len(found) > 1 and len(exact) != 1:
            raise InputError(
                path, f"the columns {listed_names(found)} are hard to tell apart", "Rename one"
            )
        if found:
            names[name] = (exact or found)[0]
    return names


def _separator(path: Path) -> str:
    """The separator of the heading line: a comma unless it has none and has tabs or semicolons."""
    with open(path, "rb") as file:
        heading = file.readline(1_000_000)
    if not heading.strip():
        raise InputError(path, "the file is empty", "Give it a heading and at least one row")
    return next((mark for mark in (",", "\t", ";") if mark.encode() in heading), ",")


def _heading(path: Path) -> list[str]:
    """The first row, as written. Snakemake's start reads it, so it does without pandas."""
    if not path.is_file():
        raise InputError(path, "there is no such file", "Correct the path in the config")
    separator = _separator(path)
    with _as_input_error(path), open(path, encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file, delimiter=separator))


def _read(path: Path, separator: str, chosen: list[str]) -> "pd.DataFrame":
    """The chosen columns. Whole rows are parsed, in parts: pandas' usecols hides rows too long."""
    import pandas as pd

    with _as_input_error(path), _parts(path, separator, chunksize=100_000) as parts:
        frames = []
        for part in parts:
            if frames == [] and not isinstance(part.index, pd.RangeIndex):
                raise InputError(
                    path, "its rows have more cells than its heading", "Quote cells with commas"
                )
            frames.append(part[chosen])
    return pd.concat(frames, ignore_index=True)


def _parts(path: Path, separator: str, **options):
    import pandas as pd

    return pd.read_csv(
        path,
        sep=separator,
        dtype=str,
        encoding="utf-8-sig",
        keep_default_na=False,
        na_values=[""],
        iterator=True,
        **options,
    )


@contextmanager
def _as_input_error(path: Path):
    try:
        yield
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    except (ValueError, csv.Error) as error:  # pandas' own are ValueErrors
        said = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise InputError(path, f"it is not a csv table ({said})", "Mend that line") from error


def _not_utf8(path: Path) -> InputError:
    """Where the file's first bytes that are no UTF-8 stand: a decoder knows that of its part alone.

    Rows are counted as a spreadsheet does, lines as an editor does: quoted cells hold line ends.
    """
    content = path.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        line = 1 + before.count(b"\n")
        row = 1 + sum(part.count(b"\n") for part in before.split(b'"')[::2])
        problem = f"it is not UTF-8 text (byte 0x{content[error.start]:02x} in line {line})"
        return InputError(path, problem, "Save it as UTF-8", row)
    return InputError(path, "it is not UTF-8 text", "Save it as UTF-8")
