"""Exact top-k by torch on a GPU: a matrix product and a selection, block by block."""

import numpy as np
import torch

ROWS = 4096  # queries multiplied at a time


def searcher(bank: np.ndarray, device: str | None = None):
    """A search (see nearest.py) of a float32 bank (m, d) that stays on the device.

    Products are full float32, without TensorFloat-32, which would change the ranks of near ties.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = False
    vectors = torch.from_numpy(np.ascontiguousarray(bank)).to(device)

    def search(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        blocks = torch.from_numpy(np.ascontiguousarray(queries)).split(ROWS)
        k = min(k, len(vectors))
        best = [torch.topk(block.to(device) @ vectors.T, k, dim=1) for block in blocks]
        similarity, rows = (torch.cat(parts).cpu().numpy() for parts in zip(*best, strict=True))
        return similarity, rows

    return search
