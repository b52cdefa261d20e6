"""Artifacts on disk: parquet tables that record what made them, written whole or not at all."""

import glob
import json
import os
import tempfile
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from histopair.errors import InputError

KEY = b"histopair"


@contextmanager
def replacing(path: str | Path):
    """Yield a temporary path in the same folder; rename it to `path` only when the block succeeds.

    A reader never sees half a file. A full disk or a kill leaves nothing under the final name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in leftovers(path):
        left.unlink()
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        yield Path(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in (28, 122):  # no space left on device, disk quota exceeded
            raise
        raise InputError(path, "no space left to write it", "Free some space and rerun") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def leftovers(path: Path) -> list[Path]:
    """Temporary files that killed jobs left beside an artifact; it has one writer at a time."""
    return list(path.parent.glob(f".{glob.escape(path.name)}.{'?' * 8}"))


def write(path: str | Path, table: pd.DataFrame | pa.Table, about: dict) -> None:
    """Write one parquet file with `about` as JSON under the metadata key `histopair`."""
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    with replacing(path) as temporary:
        pq.write_table(with_about(table, about), temporary, **_settings(table.schema))


def with_about(table: pa.Table, about: dict) -> pa.Table:
    """The same table carrying `about` in its schema metadata."""
    about = json.dumps(about, sort_keys=True, default=str).encode()
    return table.replace_schema_metadata({**(table.schema.metadata or {}), KEY: about})


def read(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a parquet artifact into pandas."""
    return pq.ParquetFile(path).read(columns=columns).to_pandas()


def to_iterate(path: str | Path) -> pq.ParquetFile:
    """A file to read batch by batch, in the memory of a batch.

    By default pyarrow keeps all that it has read ahead, until the last batch.
    """
    return pq.ParquetFile(path, pre_buffer=False)


def without_vectors(path: str | Path) -> pd.DataFrame:
    """The table without its columns of vectors, which cost most of the time to read."""
    fields = pq.read_schema(path)
    return read(path, [f.name for f in fields if not pa.types.is_fixed_size_list(f.type)])


def about(path: str | Path) -> dict:
    """What made a parquet artifact: rule, wildcards, params, code fingerprint, versions."""
    metadata = pq.read_schema(path).metadata or {}
    return json.loads(metadata.get(KEY, b"{}"))


def vectors(array: np.ndarray) -> pa.FixedSizeListArray:
    """A column of n vectors from an array of shape (n, d); keeps the array's float type."""
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, array.shape[1])


def narrowed(array: np.ndarray, kind: str | np.dtype) -> np.ndarray:
    """Vectors (n, d) as float type `kind` if it can hold them; else as float32, and print that.

    It cannot if a row changes by more than a thousandth of its length, or if half of a column is
    lost: above 65504 float16 is infinite, below 6e-8 it is 0.
    """
    with np.errstate(over="ignore"):
        stored = array.astype(kind)
    wide = array.astype(np.float64)
    with np.errstate(invalid="ignore"):
        error = stored.astype(np.float64) - wide
        rows = np.linalg.norm(error, axis=1) <= 1e-3 * np.linalg.norm(wide, axis=1)
        columns = np.linalg.norm(error, axis=0) <= 0.5 * np.linalg.norm(wide, axis=0)
    if rows.all() and columns.all():
        return stored
    largest = np.abs(wide).max()
    print(f"vectors up to {largest:.3g} do not fit into {np.dtype(kind)}: they are kept in float32")
    return array.astype(np.float32)


def matrix(path: str | Path, column: str = "embedding", normalise: bool = False) -> np.ndarray:
    """Load a vector column as one array of shape (n, d), in row order.

    Embeddings are stored raw, usually as float16. `normalise=True` gives float32 rows of length 1,
    as cosine retrieval needs; without it the array keeps its stored type.

    >>> matrix("results/embeddings/phantom-clip/phantom-crc.images.parquet").shape  # doctest: +SKIP
    (900, 128)
    """
    chunks = pq.ParquetFile(path).read(columns=[column]).column(column).combine_chunks()
    array = chunks.flatten().to_numpy(zero_copy_only=False).reshape(-1, chunks.type.list_size)
    return unit(array) if normalise else array


def positions(
    keys: pd.Series, listed: pd.Series | pd.Index, file: str | Path, problem: str, remedy: str
) -> np.ndarray:
    """The row of each key among those `listed` in a file, which are unique: (n,) for n keys.

    Raises InputError for the first key that is not listed; `problem` has {} for its name.
    """
    rows = pd.Index(listed).get_indexer(keys)
    if (rows < 0).any():
        raise InputError(file, problem.format(repr(keys.iloc[int(rows.argmin())])), remedy)
    return rows


def unit(array: np.ndarray) -> np.ndarray:
    """Rows of an (n, d) array divided by their L2 norms, float32; rows of zeros stay zeros."""
    array = np.asarray(array, dtype=np.float32)
    norms = np.linalg.norm(array, axis=1, keepdims=True)
    return array / np.maximum(norms, np.finfo(np.float32).tiny)


def write_text(path: str | Path, text: str) -> None:
    """Write a text artifact (JSON, HTML, CSV, SVG) whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    """Write JSON with sorted keys, so that equal content is equal bytes."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> dict:
    """Read a JSON artifact."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_stream(path: str | Path, batches: Iterable[pa.Table], about: dict) -> None:
    """Write many tables of one schema as the row groups of one file; holds one in memory."""
    with replacing(path) as temporary:
        writer = None
        for batch in batches:
            batch = with_about(batch, about)
            writer = writer or pq.ParquetWriter(temporary, batch.schema, **_settings(batch.schema))
            writer.write_table(batch)
        writer.close()


def _settings(schema: pa.Schema) -> dict:
    """How parquet is written: no dictionary of a vector's numbers, which are hardly ever equal.

    Without one, vectors load three times faster.
    """
    others = [field for field in schema if not pa.types.is_fixed_size_list(field.type)]
    paths = [f"{f.name}.list.element" if pa.types.is_list(f.type) else f.name for f in others]
    return {"compression": "zstd", "use_dictionary": paths}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
