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

    on_gpu = vectors.is_cuda

    def best(block: torch.Tensor, k: int) -> list[torch.Tensor]:
        # From pinned memory copies overlap with the products before; the stream keeps their order.
        sent = (block.pin_memory() if on_gpu else block).to(device, non_blocking=on_gpu)
        pair = torch.topk(sent @ vectors.T, k, dim=1)
        return [part.to("cpu", non_blocking=on_gpu) for part in pair]

    def search(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        blocks = torch.from_numpy(np.ascontiguousarray(queries)).split(ROWS)
        results = [best(block, min(k, len(vectors))) for block in blocks]
        if on_gpu:
            torch.cuda.synchronize(device)
        similarity, rows = (torch.cat(parts).numpy() for parts in zip(*results, strict=True))
        return similarity, rows

    return search
