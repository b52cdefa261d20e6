"""Exact pairing against the bare matrix product of the same shape, on one thread.

    python benchmarks/pairing.py [IMAGES] [REPORTS]

The product is torch's; its kernel does not depend on faiss' OpenBLAS.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.jobs import limit_threads

limit_threads(1)

from histopair import blas

blas.choose_kernel()

import numpy as np
import pandas as pd
import torch
from timing import interleaved, show

from histopair import retrieve, tables

torch.set_num_threads(1)


def main(images: int = 16384, reports: int = 5000, dimensions: int = 512, k: int = 10) -> None:
    rng = np.random.default_rng(0)
    queries = tables.unit(rng.normal(size=(images, dimensions)))
    texts = tables.unit(rng.normal(size=(reports, dimensions)))
    chunks = pd.DataFrame({"report_id": [f"r{i}" for i in range(reports)], "chunk": 0})
    search = retrieve._searcher(texts)
    left, right = torch.from_numpy(queries), torch.from_numpy(texts)

    def ours() -> None:
        for start in range(0, images, retrieve.BLOCK):
            retrieve.best_reports(search, queries[start : start + retrieve.BLOCK], chunks, k)

    def product() -> None:
        for start in range(0, images, retrieve.BLOCK):
            left[start : start + retrieve.BLOCK] @ right.T

    print(f"{images} images x {reports} reports x {dimensions} dimensions, k = {k}")
    show(interleaved({"matrix product": product, "pairing": ours}), "matrix product")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
