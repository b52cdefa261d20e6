"""Tables as people write them: where rows and cells end, and which cells hold a value.

Cells may be separated by commas, semicolons, tabs, bars or blanks, lines may end in any way, and
the text may be UTF-8 or UTF-16. A table that can be read in two ways is refused with a message that
names the line.
"""

import csv
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from histopair import errors
from histopair.errors import InputError
from histopair.files import audit, folding, missing

if TYPE_CHECKING:
    import pandas as pd

csv.field_size_limit(sys.maxsize)  # a caption may be long
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
SEPARATORS = (",", ";", "\t", "|", " ")  # blanks last: names and texts contain them
SEPARATOR_LINE = re.compile(r'"?sep=([^\w"\r\n])"?;*\s*', re.I)  # Excel's first line
ROUNDED = r"[+-]?[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+"  # 1.23E+16, as Excel writes long numbers
HEADING_BYTES = 1_000_000
SHAPED_ROWS = 1000  # their first cells show how a row of the table begins
NO_TEXT = {
    b"PK\x03\x04": ("it is an Excel workbook or a zip archive", "Save it as csv"),
    b"\xd0\xcf\x11\xe0": ("it is an Excel workbook", "Save it as csv"),
    b"\x1f\x8b": ("it is compressed", "Unpack it"),
    b"PAR1": ("it is a parquet file", "Save it as csv"),
    b"\x89HDF": ("it is an HDF5 file", "Save it as csv"),
    b"%PDF": ("it is a PDF", "Save it as csv"),
    b"version https://git-lfs": ("it is a pointer of Git LFS", "Fetch the file: git lfs pull"),
    b"<!doctype html": ("it is a web page", "Download the file itself"),
    b"<html": ("it is a web page", "Download the file itself"),
}


class Layout(NamedTuple):
    """How a table is written: its encoding, separator, and lines before the heading.

    above: how many of these are rows in a spreadsheet.
    """

    encoding: str
    separator: str
    skipped: int
    above: int = 0


class Record(NamedTuple):
    """One row: its number in a spreadsheet (the heading is row 1), its first line, its cells."""

    row: int
    line: int
    cells: list[str]
    lines: list[str]


def read(
    path: str | Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    columns: dict[str, str] | None = None,
    any_case: bool = True,
    texts: Collection[str] = (),
    values: Mapping[str, Collection[str]] | None = None,
) -> "pd.DataFrame":
    """Columns of a table as text, with a column `row` for messages; audit rows in attrs["audit"].

    Cells that are empty or say NA or such (`missing.WORDS`) are null, except words that are
    `values` of their column. Cells are as they look (`folding.tidy`); those of the columns `texts`
    stay as written. Optional columns that the file lacks are all null. `columns` maps our names to
    the file's where they differ. Rows without any value are left out. Raises InputError if the file
    is absent, empty or not a table, lacks a column that is required or named in `columns`, or has a
    row of more or fewer cells than the heading.
    """
    path = Path(path)
    names = require(path, required, optional, columns, any_case)
    layout, header = _opened(path, _wanted(required, optional, columns))
    places = [header.index(column) for column in names.values()]
    short = [place for name, place in zip(names, places, strict=True) if name not in texts]
    kept, empty = {}, 0
    with readable(path):
        for record in _rows(path, layout, len(header), short):
            if any(map(str.strip, record.cells)):
                kept[record.row] = [record.cells[place] for place in places]
            else:
                empty += 1
    if not kept:
        raise InputError(path, "it has a heading but no rows", "Give it at least one row")
    return framed(path, list(names), kept, [*required, *optional], empty, texts, values)


def framed(
    path: Path,
    names: list[str],
    kept: Mapping[int, list[str | None]],
    columns: Sequence[str],
    empty: int = 0,
    texts: Collection[str] = (),
    values: Mapping[str, Collection[str]] | None = None,
) -> "pd.DataFrame":
    """The frame that `read` gives, from the cells of the columns `names` by their rows' numbers.

    `columns` are all of the frame's; empty: how many rows were left out.
    """
    import pandas as pd

    frame = pd.DataFrame(list(kept.values()), columns=names, dtype="str")
    for name in columns:
        if name not in names:
            frame[name] = pd.Series(None, index=frame.index, dtype="str")
    frame["row"] = list(kept)
    frame.attrs["audit"] = _valued(frame, path.name, names, texts, values or {}, empty)
    return frame


def require(
    path: str | Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    columns: dict[str, str] | None = None,
    any_case: bool = True,
) -> dict[str, str]:
    """Our name -> the heading's, for the columns that `read` would give; reads only the heading.

    Raises InputError if the file is absent or empty, or lacks a column that is required or that
    `columns` names.
    """
    path = Path(path)
    _, header = _opened(path, _wanted(required, optional, columns))
    return matched(path, header, required, optional, columns, any_case)


def matched(
    path: Path,
    header: Sequence[str],
    required: Sequence[str],
    optional: Sequence[str] = (),
    columns: dict[str, str] | None = None,
    any_case: bool = True,
) -> dict[str, str]:
    """Our name -> the heading's, for the columns that a heading has; raises as `require` does."""
    columns = columns or {}
    wanted = _wanted(required, optional, columns)
    if unknown := sorted(set(columns) - {*required, *optional}):
        raise InputError(
            path,
            f"`columns` gives a name for {listed_names(unknown)}, which is not read; the columns "
            f"read are {listed_names([*required, *optional])}",
            "Correct `columns` in the config",
        )
    names = _matched(path, header, wanted, any_case)
    absent = [wanted[name] for name in {**dict.fromkeys(required), **columns} if name not in names]
    if absent:
        raise InputError(
            path,
            f"there is no column {listed_names(absent)}; the columns found are "
            f"{listed_names(map(str.strip, header))}",
            "Rename a column, or give its name in the config",
        )
    return names


def heading(path: str | Path, wanted: Sequence[str] = ()) -> list[str]:
    """The names of a table's columns, without outer spaces; `wanted` are some that it may have."""
    return [name.strip() for name in _opened(Path(path), {name: name for name in wanted})[1]]


def require_filled(frame: "pd.DataFrame", column: str, path: str | Path) -> None:
    """Raise InputError for the first row whose cell in `column` is null or blank."""
    empty = frame[column].fillna("").str.strip() == ""
    if empty.any():
        problem, row = f"the cell '{column}' is empty", frame.row[empty.idxmax()]
        raise InputError(path, problem, "Fill it or remove the row", row)


def require_exact(frame: "pd.DataFrame", columns: Collection[str], path: str | Path) -> None:
    """Raise InputError for the first cell that a program rounded: of several ids it made one."""
    for column in columns:
        rounded = frame[column].fillna("").str.fullmatch(ROUNDED)
        if rounded.any():
            row = frame[rounded].iloc[0]
            problem = f"the {column} {row[column]!r} is a number that a program rounded"
            raise InputError(path, problem, "Save this column as text", row["row"])


def twins(frame: "pd.DataFrame", keys: "pd.Series") -> "pd.DataFrame":
    """All rows of the first key that several rows share; no rows if each has its own key."""
    shared = keys.duplicated(keep=False)
    return frame[keys == keys[shared].iloc[0]] if shared.any() else frame[:0]


def guarded(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula: texts such as "=1+1" get an apostrophe."""
    formula = isinstance(cell, str) and cell.startswith(FORMULAS)
    return f"'{cell}" if formula else cell


def unguarded(cell: object) -> object:
    """The text that `guarded` was given."""
    marked = isinstance(cell, str) and cell[:1] == "'" and cell[1:].startswith(FORMULAS)
    return cell[1:] if marked else cell


def encoding_of(path: Path) -> str:
    """utf-8-sig or a form of UTF-16; InputError for a file that is not text."""
    with open(path, "rb") as file:
        start = file.read(HEADING_BYTES)
    for magic, (problem, remedy) in NO_TEXT.items():
        if start[: len(magic)].lower() == magic.lower():
            raise InputError(path, problem, remedy)
    if not start.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0"):
        raise InputError(path, "the file is empty", "Give it a heading and at least one row")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    zeros = [start[:200:2].count(0), start[1:200:2].count(0)]
    if b"\0" in start.splitlines()[0] and max(zeros) > len(start[:200]) // 4 > min(zeros):
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    if b"\0" in start.splitlines()[0]:
        raise InputError(path, "it is not a text file", "Save it as csv")
    return "utf-8-sig"


@contextmanager
def readable(path: Path):
    """Raise InputError where the file cannot be read, or is not text."""
    try:
        yield
    except UnicodeError as error:
        raise _not_text(path) from error
    except OSError as error:
        raise errors.of_system(path, error) from error


def listed_names(names) -> str:
    """Names in a message: quoted, in the order given."""
    return ", ".join(f"'{name}'" for name in names)


def _wanted(required, optional, columns: dict[str, str] | None) -> dict[str, str]:
    """Our names -> the file's. A column that `columns` gives to one name is not also another's."""
    columns = columns or {}
    taken = set(columns.values())
    free = [name for name in optional if name in columns or name not in taken]
    return {name: columns.get(name, name) for name in [*required, *free]}


def _matched(path: Path, header, wanted: dict[str, str], any_case: bool) -> dict[str, str]:
    """Our column name -> the heading as written; case and outer spaces do not matter."""
    fold = folding.plain if any_case else folding.tidy
    names = {}
    for name, file in wanted.items():
        alike = [column for column in header if fold(column) == fold(file)]
        exact = [column for column in alike if column.strip() == file]
        if len(alike) > 1 and len(exact) != 1:
            problem = f"the columns {listed_names(alike)} are hard to tell apart"
            raise InputError(path, problem, "Rename one")
        if alike:
            names[name] = (exact or alike)[0]
    return names


def _opened(path: Path, wanted: dict[str, str]) -> tuple[Layout, list[str]]:
    """The layout and the heading. Snakemake's start reads them, so this does without pandas.

    The separator is the one that gives most of the wanted columns, then the one of most cells.
    Lines that start with "#" may stand before a heading of wanted columns, as cBioPortal writes it.
    """
    with readable(path):
        encoding = encoding_of(path)
        with open(path, encoding=encoding, newline="") as file:
            stated = SEPARATOR_LINE.fullmatch(file.readline(99).removeprefix("\ufeff"))
        separators = stated.group(1) if stated else SEPARATORS
        layouts = [Layout(encoding, separator, int(bool(stated))) for separator in separators]
        notes = 0 if stated else _notes(path, encoding)
        layouts += [Layout(encoding, mark, notes, notes) for mark in separators if notes]
        options = [(layout, cells) for layout in layouts if (cells := _heading(path, layout))]
        if not options and not next(_records(path, layouts[0]), None):  # may raise the reason
            raise InputError(path, "the file is empty", "Give it a heading and at least one row")
    names = {folding.plain(name) for name in wanted.values()}

    def fit(option: tuple[Layout, list[str]]) -> tuple[int, int, int]:
        layout, cells = option
        known = len(names & set(map(folding.plain, cells)))
        return known, -layout.above, len(cells) * (layout.separator != " ")

    return max(options, key=fit)


def _notes(path: Path, encoding: str) -> int:
    """How many lines at the start of a file begin with "#"."""
    with open(path, encoding=encoding, newline="") as file:
        return len(list(takewhile(lambda line: line.startswith("#"), file)))


def _heading(path: Path, layout: Layout) -> list[str]:
    """The cells of the heading; none if it cannot be read in this layout."""
    with suppress(InputError):
        return next((record.cells for record in _records(path, layout)), [])
    return []


def _records(path: Path, layout: Layout) -> Iterator[Record]:
    """The rows without blank lines, the heading first.

    csv's own errors become InputErrors that name the line.
    """
    consumed: list[str] = []

    def lines(file):
        for line in file:
            consumed.append(line)
            yield line.rstrip(" \t\r\n") + "\n" if layout.separator == " " else line

    with open(path, encoding=layout.encoding, newline="") as file:
        line = 1 + len(list(islice(file, layout.skipped)))
        options = {"delimiter": layout.separator, "skipinitialspace": True, "strict": True}
        reader = csv.reader(lines(file), **options)
        row, after_heading = 0, False
        while True:
            consumed.clear()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise _unquoted(path, line, str(error)) from error
            row += 1
            if any(map(str.strip, consumed)):
                row = row if after_heading else 1 + layout.above
                after_heading = True
                yield Record(row, line, cells, list(consumed))
            line += len(consumed)


def _unquoted(path: Path, line: int, reason: str) -> InputError:
    problem = f"in line {line} a quotation mark is not closed where its cell ends ({reason})"
    remedy = 'Remove it, or write it twice within a quoted cell: "a ""word"" in quotes"'
    return InputError(path, problem, remedy)


def _rows(path: Path, layout: Layout, width: int, short: Collection[int]) -> Iterator[Record]:
    """The rows below the heading: each has `width` cells, and none lies within another's quotes.

    Cells of the columns `short` never have several lines.
    """
    shapes: set[str] = set()
    doubtful: list[Record] = []
    for record in islice(_records(path, layout), 1, None):
        if len(record.cells) != width:
            raise _uneven(path, record, width)
        if record.row <= SHAPED_ROWS:
            shapes.add(_shape(record.cells[0]))
        if len(record.lines) > 1 and width > 1 and _rows_within(record, layout, width):
            doubtful.append(record)
        yield record
    for record in doubtful:
        broken = any(len(record.cells[place].splitlines()) > 1 for place in short)
        usual = shapes | {_shape(record.cells[0])}
        if broken or _rows_within(record, layout, width) <= usual:
            inner = len(record.lines) - 1
            problem = f"in line {record.line} a quotation mark opens a cell that holds {inner} more"
            raise InputError(path, f"{problem} rows of the table", "Remove it, or close it")


def _uneven(path: Path, record: Record, width: int) -> InputError:
    count = len(record.cells)
    cells = "1 cell" if count == 1 else f"{count} cells"
    problem = f"it has {cells}, the heading has {width} (line {record.line})"
    remedy = "Quote cells that contain the separator" if count > width else "Add the missing cells"
    return InputError(path, problem, remedy, record.row)


def _rows_within(record: Record, layout: Layout, width: int) -> set[str]:
    """Shapes of the first cells of a record's lines, if each line alone would be a row."""
    lines = [line.replace('"', "") for line in record.lines if line.strip()]
    if layout.separator == " ":
        lines = [" ".join(line.split()) for line in lines]
    parts = [line.split(layout.separator) for line in lines]
    if any(len(cells) != width for cells in parts):
        return set()
    return {_shape(cells[0]) for cells in parts[1:]}


def _shape(cell: str) -> str:
    """What a cell looks like: a for a word, 9 for a number, m for a mix; plain words stay."""
    shape = re.sub(r"\w+", _kind, cell.strip())
    return shape if shape.strip("a ") else cell.strip()


def _kind(word: re.Match) -> str:
    digits = sum(map(str.isdigit, word.group()))
    return "a" if not digits else "9" if digits == len(word.group()) else "m"


def _valued(frame, file: str, names: list[str], texts, values: Mapping, empty: int) -> list[dict]:
    """Make cells without a value null and others as they look; the audit rows of these changes."""
    notes = []
    if empty:
        notes.append(audit.row("read", "dropped", file, "the row is empty", count=empty))
    for name in names:
        where, written = f"{file}, column '{name}'", frame[name]
        frame[name], words = missing.without(written, values.get(name, ()))
        reason = "a word for a missing value"
        notes += _note("warned", where, reason, list(words), sum(words.values()))
        if name not in texts:
            frame[name], odd = _tidied(frame[name])
            reason = "blanks, invisible characters or another Unicode form"
            notes += _note("renamed", where, reason, [*map(repr, odd)], written.isin(odd).sum())
    return notes


def _note(action: str, where: str, reason: str, texts: list[str], count: int) -> list[dict]:
    shown = audit.listed(texts, 3)
    return [audit.row("read", action, where, reason, shown, count=count)] if texts else []


def _tidied(column: "pd.Series") -> "tuple[pd.Series, list[str]]":
    """The column as it looks, and the texts in which more than the outer blanks changed."""
    tidied = {text: folding.tidy(text) for text in column.dropna().unique()}
    odd = [text for text, looks in tidied.items() if looks != text.strip(" ")]
    return column.map(tidied).astype("str"), odd


def _not_text(path: Path) -> InputError:
    """Where the first bytes are that are not UTF-8; a decoder only knows their place in its part.

    Rows count as in a spreadsheet, lines as in an editor: quoted cells contain line ends.
    """
    encoding = encoding_of(path)
    content = path.read_bytes()
    if encoding != "utf-8-sig":
        problem = "it is not UTF-16 text, though it begins like it"
        return InputError(path, problem, "Save it as UTF-8")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        line = 1 + before.count(b"\n")
        row = 1 + sum(part.count(b"\n") for part in before.split(b'"')[::2])
        problem = f"it is not UTF-8 text (byte 0x{content[error.start]:02x} in line {line})"
        return InputError(path, problem, "Save it as UTF-8", row)
    return InputError(path, "it is not UTF-8 text", "Save it as UTF-8")
