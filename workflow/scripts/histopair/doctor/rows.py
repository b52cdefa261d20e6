"""A row of the doctor's table: what was checked, its state, what was found, what to do."""

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from histopair import errors
from histopair.errors import InputError

OK, LATER, UNKNOWN, LOOK, MISSING, WRONG = "ok", "later", "unknown", "look", "missing", "wrong"
RED = (MISSING, WRONG)
# ANSI colours: green, cyan, yellow, red.
COLOURS = {OK: 32, LATER: 36, UNKNOWN: 33, LOOK: 33, MISSING: 31, WRONG: 31}
HEADING = ("check", "state", "finding", "what to do")
NARROWEST = 24  # characters of a wrapped column


@dataclass(frozen=True)
class Row:
    """One line of the table.

    state: ok; later (the workflow makes it); unknown (it cannot be told here); look (no error, but
    read it); missing or wrong, which are red.
    """

    check: str
    state: str
    finding: str
    remedy: str = ""


def of_mistake(check: str, mistake: InputError, state: str = WRONG) -> Row:
    """The row of an error that the workflow would stop with."""
    where = "" if mistake.where == check else f"{mistake.where}: "
    return Row(check, state, f"{where}{mistake.problem}", mistake.remedy)


def checked(check: str, rows: Callable[[], Iterable[Row]]) -> Iterator[Row]:
    """The rows of a check; if it fails itself, the ones until then and what it failed with."""
    try:
        yield from rows()
    except InputError as mistake:
        yield of_mistake(check, mistake)
    except OSError as error:
        yield of_mistake(check, errors.of_system(error.filename or check, error))
    except Exception as error:  # libraries raise many types, and other checks must go on
        finding = f"this check failed ({type(error).__name__}: {error})"
        yield Row(check, WRONG, finding, "Look at the file that it names, or report this")


def red(rows: Iterable[Row]) -> bool:
    return any(row.state in RED for row in rows)


def table(rows: list[Row], width: int | None = None) -> str:
    """The rows in columns, and how many there are of each state.

    With a terminal's `width` in characters, states are coloured and long cells wrapped.
    """
    cells = [HEADING, *((row.check, row.state, row.finding, row.remedy) for row in rows)]
    cells = [tuple(map(_printable, line)) for line in cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if width:
        widths[2:] = _fitting(widths, width)
    lines = [line for row in cells for line in _lines(row, widths, bool(width))]
    counts = Counter(row.state for row in rows)
    return "\n".join([*lines, "", ", ".join(f"{counts[s]} {s}" for s in COLOURS if counts[s])])


def _printable(text: str) -> str:
    """Text of data in one line that moves no cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _fitting(widths: list[int], width: int) -> list[int]:
    """Widths of the last two columns, which share what the others leave of a terminal."""
    left = max(width - sum(widths[:2]) - 6, 2 * NARROWEST)
    finding, remedy = widths[2:]
    if finding + remedy <= left:
        return [finding, remedy]
    first = max(min(finding, left // 2), left - remedy, NARROWEST)
    return [first, max(left - first, NARROWEST)]


def _lines(row: tuple[str, ...], widths: list[int], terminal: bool) -> Iterator[str]:
    wrapped = [[cell] for cell in row]
    if terminal:
        wrapped[2:] = [textwrap.wrap(row[i], widths[i]) or [""] for i in (2, 3)]
    for number in range(max(map(len, wrapped))):
        parts = [cell[number] if number < len(cell) else "" for cell in wrapped]
        padded = [part.ljust(width) for part, width in zip(parts, widths, strict=True)]
        if terminal and parts[1] in COLOURS:
            padded[1] = f"\033[{COLOURS[parts[1]]}m{padded[1]}\033[0m"
        yield "  ".join(padded).rstrip()
