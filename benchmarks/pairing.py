"""Exact pairing against the bare matrix product of the same shape, on one thread or on a GPU.

    python benchmarks/pairing.py [IMAGES] [REPORTS] [ROUNDS]

The product is torch's; its kernel does not depend on faiss' OpenBLAS.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.jobs import limit_threads

limit_threads(1)

from histopair.retrieval import blas

blas.choose_kernel()

import numpy as np
import torch
from timing import clock, interleaved, show

from histopair.analyses import cost
from histopair.files import tables
from histopair.jobs import devices
from histopair.retrieval import nearest, retrieve

DEVICE = devices.start()


def main(images: int = 16384, reports: int = 10_000, rounds: int = 5) -> None:
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
    print(f"{size}, on {cost.machine(DEVICE)}")
    candidates = {"matrix product": product, "pairing": ours}
    show(interleaved(candidates, rounds, clock(DEVICE)), "matrix product")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
