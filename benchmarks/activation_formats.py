"""Random batches of activations from disk: safetensors and npy memory maps against parquet.

python benchmarks/activation_formats.py [IMAGES]
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.jobs import limit_threads

limit_threads(1)

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from timing import interleaved, show

from histopair.files import tables

SHAPE, BATCH, BATCHES = (197, 768), 8, 20


def main(images: int = 512) -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(size=(images, *SHAPE)).astype(np.float16)
    batches = [rng.integers(0, images, BATCH) for _ in range(BATCHES)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "a.npy", array)
        save_file({"states": torch.from_numpy(array)}, folder / "a.safetensors")
        table = pa.table({"states": tables.vectors(array.reshape(images, -1))})
        for rows in (1, 8):
            pq.write_table(
                table,
                folder / f"{rows}.parquet",
                row_group_size=rows,
                compression="none",
                use_dictionary=False,
            )
        readers = {
            "npy, memory map": _npy(folder / "a.npy"),
            "safetensors, memory map": _safetensors(folder / "a.safetensors"),
            "FixedSizeList, row groups of 1": _parquet(folder / "1.parquet", 1),
            "FixedSizeList, row groups of 8": _parquet(folder / "8.parquet", 8),
        }
        for read in readers.values():
            assert (read(batches[0]).numpy() == array[batches[0]]).all()
        candidates = {
            kind: lambda read=read: [read(batch) for batch in batches]
            for kind, read in readers.items()
        }
        question = f"{BATCHES} batches of {BATCH} of {images} images, {SHAPE} float16, one thread"
        show(question, interleaved(candidates, rounds=5), "npy, memory map")


def _npy(path: Path):
    array = np.load(path, mmap_mode="r")
    return lambda rows: torch.from_numpy(array[rows]).float()


def _safetensors(path: Path):
    states = safe_open(path, "pt").get_slice("states")
    return lambda rows: torch.stack([states[row] for row in rows.tolist()]).float()


def _parquet(path: Path, size: int):
    file = pq.ParquetFile(path, memory_map=True)

    def row(number: int) -> torch.Tensor:
        group = file.read_row_group(number // size, use_threads=False)["states"].combine_chunks()
        values = group.flatten().to_numpy().reshape(-1, *SHAPE)
        return torch.from_numpy(values[number % size].copy())

    return lambda rows: torch.stack([row(number) for number in rows.tolist()]).float()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
