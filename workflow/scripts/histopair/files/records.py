"""Tables that are not csv: parquet, JSON, JSON lines, one text a line, a folder of text files.

`read` and `require` give what those of `sheets` give, and leave any other file to `sheets`.
"""

import json
import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from histopair import errors
from histopair.errors import InputError
from histopair.files import audit, folding, paths, sheets

if TYPE_CHECKING:
    import pandas as pd

Record = dict[str, object]
JSON = (".json", ".jsonl", ".ndjson")
PARQUET = (".parquet",)
TEXT = ".txt"
EXACT = 2**53  # above, not every whole number has a float of its own
OBJECTS = 'Expected are objects such as {"id": "a", "text": "..."}: in a list, or one a line'


def read(
    path: str | Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    columns: dict[str, str] | None = None,
    texts: Collection[str] = (),
) -> "pd.DataFrame":
    """Columns of a table of any form as text, as `sheets.read` gives those of a csv.

    Rows count from 1: records of JSON and parquet, lines of other files, files of a folder. A list
    is the texts of its items, one a line, and 7.0 is 7. Raises InputError as `sheets.read` does,
    for a value that is no text and, outside the columns `texts`, for a number that may be rounded.
    """
    path, wanted = Path(path), [*required, *optional]
    named = [(columns or {}).get(name, name) for name in wanted]
    if _is_sheet(path, named):
        return sheets.read(path, required, optional, columns, texts=texts)
    rows = dict(_rows(path, named))
    notes = rows.pop(0, [])
    full = {row: record for row, record in rows.items() if not all(map(_absent, record.values()))}
    if not full:
        raise InputError(path, "it has no rows", "Give it at least one")
    header = dict.fromkeys(name for record in full.values() for name in record)
    names = sheets.matched(path, list(header), required, optional, columns)
    kept = {
        row: [
            _text(record.get(name), path, name, row, ours in texts) for ours, name in names.items()
        ]
        for row, record in full.items()
    }
    frame = sheets.framed(path, list(names), kept, wanted, len(rows) - len(full), texts)
    frame.attrs["audit"] += notes
    return frame


def require(
    path: str | Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    columns: dict[str, str] | None = None,
) -> None:
    """Raise InputError if a column is missing, as far as the file's beginning shows.

    JSON has no heading, and any record may lack a key.
    """
    path = Path(path)
    if _is_sheet(path, [(columns or {}).get(name, name) for name in [*required, *optional]]):
        sheets.require(path, required, optional, columns)
    elif path.suffix.lower() in JSON and not paths.is_folder(path):
        _first(path)
    else:
        sheets.matched(path, heading(path), required, optional, columns)


def files(path: str) -> list[str]:
    """The files of a table: itself, or a folder and the texts in it.

    Raises InputError for a text whose name Snakemake cannot take as an input.
    """
    texts = list(filter(_is_text, paths.files_below(path, all_of_them=False)))
    for file in texts:
        if set("{}") & set(file):
            problem = "its name has braces, which Snakemake takes for wildcards"
            raise InputError(f"{path}/{file}", problem, "Rename it")
    return [path, *(f"{path}/{file}" for file in texts)]


def heading(path: str | Path, wanted: Sequence[str] = ()) -> list[str]:
    """The names of the columns, `wanted` are some that it may have.

    Those of JSON are the keys of its first record, that of lines is "text", those of a folder are
    "id" and "text".
    """
    path = Path(path)
    if _is_sheet(path, wanted):
        return sheets.heading(path, wanted)
    if paths.is_folder(path):
        return ["id", "text"]
    if path.suffix.lower() == TEXT:
        return ["text"]
    return list(_first(path)) if path.suffix.lower() in JSON else _schema(path)


def keys(path: str | Path) -> list[str]:
    """The keys of all records of JSON, which is read whole; none of any other table."""
    path = Path(path)
    if path.suffix.lower() not in JSON or paths.is_folder(path):
        return []
    return list(dict.fromkeys(name for _, record in _of_json(path) for name in record))


def _is_sheet(path: Path, columns: Sequence[str]) -> bool:
    """Whether it is a csv. A .txt is one if its first line names two of the columns."""
    if paths.is_folder(path) or path.suffix.lower() in (*JSON, *PARQUET):
        return False
    if path.suffix.lower() != TEXT:
        return True
    names = set(map(folding.plain, columns))
    with suppress(InputError):
        return len(names & set(map(folding.plain, sheets.heading(path, columns)))) > 1
    return False


def _rows(path: Path, wanted: Collection[str]) -> Iterator[tuple[int, Record]]:
    """The records by their numbers; number 0 has the audit rows of what is no record."""
    if paths.is_folder(path):
        yield from _of_folder(path)
    elif path.suffix.lower() == TEXT:
        yield from _of_lines(path)
    elif path.suffix.lower() in PARQUET:
        yield from _of_parquet(path, set(map(folding.plain, wanted)))
    else:
        yield from _of_json(path)


def _of_folder(folder: Path) -> Iterator[tuple[int, Record]]:
    """A record for each .txt below a folder; its id is its path without the ending."""
    files = paths.files_below(str(folder))
    texts = list(filter(_is_text, files))
    if not texts:
        raise InputError(folder, "there is no .txt file in it", "Correct the path in the config")
    if left := sorted(set(files) - set(texts)):
        shown = audit.listed([*map(paths.printable, left)], 3)
        yield 0, [audit.row("read", "dropped", shown, "not a .txt file", count=len(left))]
    for row, file in enumerate(texts, 1):
        text = _content(folder / file)
        yield row, {"id": paths.printable(file)[: -len(TEXT)], "text": text}


def _is_text(file: str) -> bool:
    return file.lower().endswith(TEXT) and not any(map(paths.hidden, file.split("/")))


def _content(file: Path) -> str:
    """The text of a file, "" for an empty one."""
    with sheets.readable(file):
        blank = not file.read_bytes().strip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0")
        return "" if blank else file.read_text(encoding=sheets.encoding_of(file))


def _of_lines(path: Path) -> Iterator[tuple[int, Record]]:
    """A record for each line."""
    with sheets.readable(path), open(path, encoding=sheets.encoding_of(path)) as file:
        for row, line in enumerate(file, 1):
            yield row, {"text": line.strip()}


def _of_json(path: Path) -> Iterator[tuple[int, Record]]:
    """The objects of a list, or one from each line that is not blank."""
    if path.suffix.lower() != ".json":
        yield from _of_json_lines(path)
        return
    with sheets.readable(path):
        text = path.read_text(encoding=sheets.encoding_of(path))
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(path, f"it is not JSON ({error})", "Correct it") from error
    if not isinstance(listed, list):
        raise InputError(path, "it is JSON, but not a list", OBJECTS)
    for row, value in enumerate(listed, 1):
        yield row, _record(value, path, row)


def _of_json_lines(path: Path) -> Iterator[tuple[int, Record]]:
    with sheets.readable(path), open(path, encoding=sheets.encoding_of(path)) as file:
        for row, line in enumerate(file, 1):
            if line.strip():
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise InputError(path, f"it is not JSON ({error})", OBJECTS, row) from error
                yield row, _record(value, path, row)


def _first(path: Path) -> Record:
    """The first record of a JSON file."""
    with sheets.readable(path), open(path, encoding=sheets.encoding_of(path)) as file:
        start = file.read(sheets.HEADING_BYTES)
    with suppress(ValueError, RecursionError):
        return _record(json.JSONDecoder().raw_decode(start[start.index("{") :])[0], path, 1)
    return next((record for _, record in _of_json(path)), {})


def _record(value: object, path: Path, row: int) -> Record:
    if not isinstance(value, dict):
        raise InputError(path, f"{str(value)[:40]!r} is not an object", OBJECTS, row)
    return {_encodable(name): item for name, item in value.items()}


def _of_parquet(path: Path, wanted: Collection[str]) -> Iterator[tuple[int, Record]]:
    """The rows of a parquet file, with the columns that are called like those wanted, or all."""
    from histopair.files import tables

    schema = _schema(path)
    columns = [name for name in schema if folding.plain(name) in wanted] or schema
    row = 0
    with _as_parquet(path), tables.to_iterate(path) as file:
        for batch in file.iter_batches(columns=columns):
            for record in batch.to_pylist():
                row += 1
                yield row, record


def _schema(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    with _as_parquet(path):
        return pq.read_schema(path).names


@contextmanager
def _as_parquet(path: Path):
    """Turn pyarrow's errors, which are ValueErrors, OSErrors and its own, into an InputError."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in errors.SYSTEM:
            raise errors.of_system(path, error) from error
        problem = f"it is not a whole parquet file ({str(error)[:80]})"
        raise InputError(path, problem, "Write or download it again") from error


def _text(value: object, path: Path, name: str, row: int, prose: bool) -> str | None:
    """A value as text; None for none. Raises InputError for one that is neither text nor number.

    A number that may be rounded is a text only in prose: as an id it could be that of another.
    """
    if _absent(value):
        return None
    if isinstance(value, list):
        items = (_text(item, path, name, row, prose) for item in value)
        return "\n".join(filter(None, items)) or None
    if isinstance(value, float):
        if value.is_integer() and abs(value) < EXACT:
            return str(int(value))
        if not prose:
            problem = f"'{name}' is the decimal number {value}, which may be rounded"
            raise InputError(path, problem, "Store this column as text", row)
    if isinstance(value, dict | bytes | tuple):
        kind = "binary" if isinstance(value, bytes) else "a map"
        raise InputError(path, f"'{name}' is {kind}, not a text", "Name another column", row)
    return _encodable(str(value))


def _absent(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _encodable(text: str) -> str:
    """The text with a mark in place of half a character, which JSON can hold and files cannot."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
