"""Exact pairing against the bare matrix product of the same shape, on one thread or on a GPU.

    python benchmarks/pairing.py [IMAGES] [REPORTS] [ROUNDS]

The product is torch's; its kernel does not depend on faiss' OpenBLAS. On a processor scikit-learn
and usearch search beside it; usearch has a process of its own, so then seconds are of the wall.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.jobs import limit_threads

limit_threads(1)

from histopair.retrieval import blas

blas.choose_kernel()

import numpy as np
import others
import torch
from sklearn.neighbors import NearestNeighbors
from timing import clock, interleaved, show

from histopair.analyses import cost
from histopair.files import tables
from histopair.jobs import devices
from histopair.retrieval import nearest, retrieve

DEVICE = devices.start()


def main(images: int = 8192, reports: int = 10_000, rounds: int = 5) -> None:
    dimensions, k = 512, 10
    rng = np.random.default_rng(0)
    queries = tables.unit(rng.standard_normal((images, dimensions), dtype=np.float32))
    texts = tables.unit(rng.standard_normal((reports, dimensions), dtype=np.float32))
    codes = np.arange(reports)
    find = nearest.exact(texts, gpu=DEVICE.type == "cuda")
    left, right = torch.from_numpy(queries).to(DEVICE), torch.from_numpy(texts).to(DEVICE)

    def ours() -> None:
        for start in range(0, images, retrieve.BLOCK):
            retrieve.best_reports(find, queries[start : start + retrieve.BLOCK], codes, k)

    def product() -> None:
        for start in range(0, images, retrieve.BLOCK):
            left[start : start + retrieve.BLOCK] @ right.T

    size = f"{images} images x {reports} reports x {dimensions} dimensions, k = {k}"
    candidates = {"matrix product": product, "pairing": ours}
    with tempfile.TemporaryDirectory() as folder:
        if DEVICE.type == "cpu":
            candidates |= _others(queries, texts, k, Path(folder))
        wall = time.perf_counter if DEVICE.type == "cpu" else clock(DEVICE)
        medians = interleaved(candidates, rounds, wall)
        others.close(candidates)
    show(f"Exact pairing, {size}, on {cost.machine(DEVICE)}", medians, "matrix product")


def _others(queries: np.ndarray, texts: np.ndarray, k: int, folder: Path) -> dict[str, Callable]:
    """The same search by scikit-learn and usearch."""
    of_sklearn = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="cosine").fit(texts)
    files = [str(folder / name) for name in ("queries.npy", "texts.npy")]
    for file, array in zip(files, (queries, texts), strict=True):
        np.save(file, array)
    search = {"scikit-learn": lambda: of_sklearn.kneighbors(queries)}
    return search | others.started("usearch", *files, str(k))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
