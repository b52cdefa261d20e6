"""Loading a cache of embeddings into one array: parquet column types against np.load.

python benchmarks/cache.py [VECTORS]
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.jobs import limit_threads

limit_threads(1)

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from timing import interleaved, show

from histopair.files import tables

BASE, OURS, LIST = "np.load", "FixedSizeList (tables.matrix)", "list, through pandas"


def main(vectors: int = 100_000, dimensions: int = 512) -> None:
    question = f"Loading {vectors} vectors x {dimensions}, float16, one thread"
    show(question, measured(vectors, dimensions), BASE)


def measured(vectors: int, dimensions: int = 512, rounds: int = 5) -> dict[str, float]:
    """Median CPU seconds of each format."""
    array = np.random.default_rng(0).normal(size=(vectors, dimensions)).astype(np.float16)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "a.npy", array)
        tables.write(folder / "ours.parquet", pa.table({"embedding": tables.vectors(array)}), {})
        columns = {
            "fixed_list": tables.vectors(array),
            "fixed_binary": pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(2 * dimensions), vectors, [None, pa.py_buffer(array)]
            ),
            "list": pa.array(list(array)),
        }
        for kind, column in columns.items():
            pq.write_table(
                pa.table({"embedding": column}), folder / f"{kind}.parquet", compression="zstd"
            )
        candidates = {
            BASE: lambda: np.load(folder / "a.npy"),
            OURS: lambda: tables.matrix(folder / "ours.parquet"),
            "FixedSizeList with a dictionary": lambda: tables.matrix(folder / "fixed_list.parquet"),
            "FixedSizeBinary": lambda: _from_binary(folder / "fixed_binary.parquet", dimensions),
            LIST: lambda: np.stack(pq.read_table(folder / "list.parquet").to_pandas()["embedding"]),
        }
        assert (tables.matrix(folder / "ours.parquet") == array).all()
        assert (_from_binary(folder / "fixed_binary.parquet", dimensions) == array).all()
        return interleaved(candidates, rounds, time.process_time)


def _from_binary(path: Path, dimensions: int) -> np.ndarray:
    column = pq.read_table(path)["embedding"].combine_chunks()
    return np.frombuffer(column.buffers()[1], np.float16).reshape(-1, dimensions)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
