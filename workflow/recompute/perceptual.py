"""Images that look the same, by comparing all perceptual hashes with all."""

import numpy as np
import pandas as pd

SIDE = 8  # frequencies of a hash in each direction
NEAR = 6  # bits that may differ
BLOCK = 512  # hashes compared with all others at a time


def near(hashes: pd.Series, others: pd.Series) -> np.ndarray:
    """Whether each hash (n,) is near one of the others in some orientation; a missing one is not.

    Turning and mirroring an image swap its frequencies and change the signs of odd ones.
    """
    codes, distinct = pd.factorize(hashes)  # a missing hash has the code -1
    there = _signs(others.dropna().unique())
    found = np.zeros(len(distinct) + 1, bool)
    for start in range(0, len(distinct) if len(there) else 0, BLOCK):
        block = _signs(distinct[start : start + BLOCK]).reshape(-1, SIDE, SIDE)
        differing = [
            (SIDE**2 - 1 - turned.reshape(len(block), -1) @ there.T).min(1) / 2
            for turned in _orientations(block)
        ]
        found[start : start + len(block)] = np.min(differing, axis=0) <= NEAR
    return found[codes]


def _signs(hashes: np.ndarray) -> np.ndarray:
    """Hexadecimal hashes as signs of frequencies, (n, 64); that of the mean brightness is 0."""
    numbers = np.array([int(text, 16) for text in hashes], np.uint64)
    bits = numbers[:, None] >> np.arange(SIDE**2, dtype=np.uint64) & np.uint64(1)
    signs = 2 * bits.astype(np.float32) - 1
    signs[:, 0] = 0
    return signs


def _orientations(signs: np.ndarray):
    odd = np.where(np.arange(SIDE) % 2, -1, 1).astype(np.float32)
    for square in (signs, signs.transpose(0, 2, 1)):
        for rows in (1, odd[:, None]):
            for columns in (1, odd):
                yield square * rows * columns
