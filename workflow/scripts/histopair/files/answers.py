"""What readers answered to a model's findings: a csv that grows by one line for each answer.

Several processes may append to one file. Of a note only the hash is kept, because a note may name a
patient.
"""

import csv
import fcntl
import hashlib
import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from histopair import errors
from histopair.errors import InputError
from histopair.files import folding, missing, sheets

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("time", "reader", "model", "fingerprint", "image", "file", "region", "note")
FINDINGS = ("before", "accepted", "removed", "added")
COLUMNS = (*TEXTS, *FINDINGS)
# Characters of texts from outside; the rest is cut.
LONGEST = {"reader": 100, "model": 300, "fingerprint": 64, "file": 255}
LONGEST_LINE = 1_000_000  # bytes
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")  # as texts in their order
SHA256 = re.compile(r"[0-9a-f]{64}")
REGION = re.compile(r"([0-9]+,[0-9]+,[1-9][0-9]*,[1-9][0-9]*)?")
# Where semicolons separate cells, a spreadsheet would take what follows one for a cell.
INNER_FORMULA = re.compile(r";\s*(?=[=+\-@])")


@dataclass(frozen=True)
class Answer:
    """One reader's answer about one image.

    model: DATASET/ENCODER/METHOD/SEED; fingerprint: of its export (`export.fingerprint`). image:
    sha256 of the file's bytes, as in a labels table. region: "x,y,width,height" in pixels of the
    image, or "" if the answer is about all of it. before: the findings as the model gave them,
    label -> probability. accepted and removed are findings of these, added are others. note: its
    text, or "".
    """

    reader: str
    model: str
    fingerprint: str
    image: str
    file: str
    before: Mapping[str, float]
    accepted: Sequence[str] = ()
    removed: Sequence[str] = ()
    added: Sequence[str] = ()
    region: str = ""
    note: str = ""


def append(path: str | Path, answer: Answer) -> str | None:
    """Add one line to the csv at `path`, with the time (UTC); it is on the disk on return.

    A last line that a killed process has left unfinished is moved to PATH.damaged first; the
    sentence that says so is returned. Raises InputError for an answer that contradicts itself, for
    a file that is no table of answers, and if the line cannot be written. The file is then as it
    was.
    """
    path = Path(path)
    line = _line(answer, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path) as file:
            repaired = _repair(file, path)
            _write(file, line if os.fstat(file).st_size else _encoded(COLUMNS) + line)
    except OSError as error:
        raise errors.of_system(path, error) from error
    return repaired


def mend(path: str | Path) -> str | None:
    """Make a csv that a killed process has left end with a whole line, as `append` does.

    Returns the sentence that says what was moved; None if nothing was, or there is no file. Raises
    InputError for a file that is no table of answers.
    """
    path = Path(path)
    if not path.is_file():
        return None
    try:
        with _locked(path) as file:
            return _repair(file, path)
    except OSError as error:
        raise errors.of_system(path, error) from error


def read(path: str | Path) -> "pd.DataFrame":
    """The answers of a csv, one a row in the order of the file: `COLUMNS` and `row`.

    `before` is a dict, the other findings are lists. Raises InputError for a table that is not of
    answers, with the row, and for a last line that is not whole.
    """
    import pandas as pd

    path = Path(path)
    with sheets.readable(path), open(path, "rb") as file:
        if not _whole(_tail(file.fileno())):
            problem = "its last line is not whole: the program that wrote it was stopped"
            raise InputError(path, problem, "Remove that line, or add an answer, which moves it")
    as_written = dict.fromkeys(TEXTS, missing.WORDS)
    frame = sheets.read(path, COLUMNS, texts=("file", *FINDINGS), values=as_written)
    frame[list(TEXTS)] = frame[list(TEXTS)].map(sheets.unguarded)
    sheets.require_filled(frame, "reader", path)
    _require(frame, "time", frame.time.map(TIME.fullmatch), path)
    _require(frame, "image", frame.image.map(SHA256.fullmatch), path)
    for name in FINDINGS:
        kind = dict if name == "before" else list
        frame[name] = pd.Series([parsed(cell, kind) for cell in frame[name]], dtype=object)
        _require(frame, name, frame[name], path)
    return frame[[*COLUMNS, "row"]]


def _require(frame: "pd.DataFrame", column: str, values: "pd.Series", path: Path) -> None:
    """Raise InputError for the first row in which a cell could not be read: it is null there."""
    if values.isna().any():
        problem = f"the cell '{column}' is not as the page writes it"
        row = frame.row[values.isna().idxmax()]
        raise InputError(path, problem, "Restore it or remove the row", row)


def _line(answer: Answer, path: Path) -> bytes:
    _require_whole(answer, path)
    cells = {name: getattr(answer, name) for name in COLUMNS if name != "time"}
    cells["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    cells["note"] = _hashed(answer.note)
    cells |= {name: _plain(cells[name])[:most] for name, most in LONGEST.items()}
    cells["before"] = {name: round(float(value), 6) for name, value in answer.before.items()}
    cells |= {name: list(cells[name]) for name in FINDINGS[1:]}
    cells |= {name: as_cell(cells[name]) for name in FINDINGS}
    line = _encoded([sheets.guarded(cells[name]) for name in COLUMNS])
    if len(line) > LONGEST_LINE:
        raise InputError(path, "the answer is too long for a line", "Give fewer findings")
    return line


def as_cell(value: dict | Sequence[str]) -> str:
    """Findings as JSON without semicolons, after which a spreadsheet could see a formula."""
    return json.dumps(value, ensure_ascii=False).replace(";", r"\u003b")


def _hashed(note: str) -> str:
    return hashlib.sha256(note.encode("utf-8", "replace")).hexdigest() if note else ""


def _require_whole(answer: Answer, path: Path) -> None:
    """Raise InputError for an answer that says nothing, or two things at once."""
    listed = [*answer.accepted, *answer.removed, *answer.added]
    unshown = {*answer.accepted, *answer.removed} - set(answer.before)
    problems = {
        "it has no reader": not _plain(answer.reader),
        "its image is no sha256": not SHA256.fullmatch(answer.image),
        f"its region {answer.region!r} is no x,y,width,height": not REGION.fullmatch(answer.region),
        "it says nothing": not listed,
        "it names a finding twice": len(set(listed)) < len(listed),
        "it accepts or removes what the model did not find": unshown,
        "it adds what the model found": set(answer.added) & set(answer.before),
        "a probability is no number": not all(map(math.isfinite, answer.before.values())),
    }
    for problem, holds in problems.items():
        if holds:
            raise InputError(path, f"an answer cannot be kept: {problem}", "Correct the answer")


def _plain(text: str) -> str:
    """Text of one line without invisible characters, or formulas after a semicolon."""
    return INNER_FORMULA.sub(";'", folding.tidy(text.replace("\0", "")))


def _encoded(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "replace")


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file at `path`, open to read and append; other processes wait until it is closed."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            # While we waited, an editor may have put another file in its place.
            if path.exists() and os.path.samestat(os.fstat(file), os.stat(path)):
                yield file
                return
        finally:
            os.close(file)


def _repair(file: int, path: Path) -> str | None:
    """Make the file end with a whole line, and say what was moved; InputError for other files."""
    size = os.fstat(file).st_size
    heading = _encoded(COLUMNS).rstrip()
    start = os.pread(file, len(heading) + 9, 0).removeprefix(b"\xef\xbb\xbf")
    unfinished = size == len(start) and heading.startswith(start)
    if not unfinished and start.splitlines()[0] != heading:
        problem = "it is no table of answers: its heading is another"
        raise InputError(path, problem, "Give another file, or move this one")
    tail = _tail(file)
    if not tail:
        return None
    if _whole(tail):
        _write(file, b"\n")
        return None
    damaged = Path(f"{path}.damaged")
    with open(damaged, "ab") as other:
        other.write(tail + b"\n")
    os.ftruncate(file, size - len(tail))
    return f"{path}: its last line was not whole and was moved to {damaged}"


def _tail(file: int) -> bytes:
    """What follows the last line end."""
    size = os.fstat(file).st_size
    place = max(0, size - LONGEST_LINE)
    return os.pread(file, size - place, place).rpartition(b"\n")[2]


def _whole(tail: bytes) -> bool:
    """Whether a last line without an end lacks only that: its last cell, a list, is whole."""
    if not tail:
        return True
    try:
        cells = next(csv.reader([tail.decode("utf-8-sig", "replace")], strict=True))
    except csv.Error:
        return False
    full = len(cells) == len(COLUMNS) and parsed(cells[-1]) is not None
    return full or cells == [*COLUMNS]


def _write(file: int, content: bytes) -> None:
    """Append all of the content, or raise OSError and leave the file as it was."""
    size = os.fstat(file).st_size
    try:
        if os.write(file, content) < len(content):
            raise OSError(28, "no space left")
        os.fsync(file)
    except OSError:
        os.ftruncate(file, size)
        raise


def parsed(cell: object, kind: type = list) -> list[str] | dict[str, float] | None:
    """The findings in a cell: a list of texts, or a dict of numbers; None for anything else."""
    try:
        value = json.loads(cell)
    except (TypeError, ValueError, RecursionError):
        return None
    if not isinstance(value, kind):
        return None
    items, allowed = (value.values(), (int, float)) if kind is dict else (value, (str,))
    return value if all(type(item) in allowed for item in items) else None
