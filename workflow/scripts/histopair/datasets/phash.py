"""Perceptual hashes: images that look the same, though their bytes differ.

The hash is the sign of each of the 63 lowest frequencies of the discrete cosine transform of the
image at 32 x 32 grey pixels (Zauner 2010, with the sign instead of the median as threshold).
Turning or mirroring an image flips signs and swaps frequencies, so the hashes of all eight
orientations follow from one: a tile has no upright orientation, and augmented copies are copies.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

SIDE, LOW = 32, 8
FLAT = 2.0  # an image whose grey levels deviate less (glass) looks like any other
# Near duplicates differ in at most NEAR bits. Of 600 real tiles (LC25000), copies saved again as
# JPEG, halved, turned or brightened differ in 0 to 5 bits; tiles from other sources, in the best of
# eight orientations, in 12 or more.
NEAR = 6
BAND = 16
BLOCK = 1 << 20  # pairs compared at a time

# DCT-II: row k holds cos(pi (2 i + 1) k / 2 n) over the pixels i.
COSINES = np.cos(np.pi * np.outer(np.arange(LOW), 2 * np.arange(SIDE) + 1) / (2 * SIDE))
WEIGHTS = (1 << np.arange(LOW * LOW, dtype=np.uint64)).reshape(LOW, LOW)
WEIGHTS[0, 0] = 0  # the mean brightness


def of(image: Image.Image) -> str | None:
    """Hash of an image, 16 hexadecimal digits; None for an image without content."""
    small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    grey = np.asarray(small, dtype=np.float64)
    if grey.std() < FLAT:
        return None
    bits = COSINES @ grey @ COSINES.T > 0
    return f"{int((bits * WEIGHTS).sum(dtype=np.uint64)):016x}"


def numbers(hashes: Iterable[str]) -> np.ndarray:
    """Hashes as uint64."""
    return np.array([int(text, 16) for text in hashes], dtype=np.uint64)


def orientations(hashes: np.ndarray) -> np.ndarray:
    """The hashes (n,) of the same images turned and mirrored, (8, n); the first as they are."""
    bits = (hashes[:, None, None] & WEIGHTS) != 0
    odd = np.arange(LOW) % 2 == 1
    flips = (False, odd[:, None], odd[None, :], odd[:, None] ^ odd[None, :])
    return np.stack(
        [
            ((swapped ^ flip) * WEIGHTS).sum((1, 2), dtype=np.uint64)
            for swapped in (bits, bits.transpose(0, 2, 1))
            for flip in flips
        ]
    )


def nearest(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each hash of `left`, in any orientation: the nearest of `right` and its distance in bits.

    The first of equally near ones; -1 where none is within NEAR bits.
    """
    none = np.iinfo(np.int64).max
    best = np.full(len(left), none)
    for i, j, distance in pairs(orientations(left).ravel(), right):
        np.minimum.at(best, i % max(1, len(left)), distance.astype(np.int64) * len(right) + j)
    near, size = best < none, max(1, len(right))
    return np.where(near, best % size, -1), np.where(near, best // size, -1)


def sets(hashes: np.ndarray) -> np.ndarray:
    """The number of each hash's set, (n,), from 0; hashes near in some orientation share theirs.

    So do those that others join. Of n images that look alike, n^2 pairs are near, so none is kept.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    number = np.arange(len(hashes))
    for i, j, _ in pairs(orientations(hashes).ravel(), hashes):
        ends = np.stack([number[i % len(hashes)], number[j]])
        ends = ends[:, ends[0] != ends[1]]
        if ends.size:
            shape = (number.max() + 1,) * 2
            links = coo_array((np.ones(ends.shape[1], bool), tuple(ends)), shape=shape)
            number = connected_components(links, directed=False)[1][number]
    return number


def pairs(left: np.ndarray, right: np.ndarray) -> Iterator[tuple]:
    """All pairs of hashes that differ in at most NEAR bits, in blocks: (i, j, distance).

    If 64 bits differ in at most seven, one of four bands of 16 bits differs in at most one bit
    (pigeonhole), so only pairs with such a band are compared. This is exact without comparing all
    against all. A pair can come more than once.
    """
    for shift in range(0, LOW * LOW, BAND):
        right_band, left_band = _band(right, shift), _band(left, shift)
        order = np.argsort(right_band, kind="stable")
        counts = np.bincount(right_band, minlength=1 << BAND)
        starts = np.cumsum(counts) - counts
        for flip in (0, *(1 << bit for bit in range(BAND))):
            bucket = left_band ^ flip
            count, first = counts[bucket], starts[bucket]
            for part in _parts(count):
                i, within = _runs(count[part])
                i += part.start
                j = order[first[i] + within]
                distance = np.bitwise_count(left[i] ^ right[j])
                near = distance <= NEAR
                yield i[near], j[near], distance[near]


def _band(hashes: np.ndarray, shift: int) -> np.ndarray:
    return ((hashes >> np.uint64(shift)) & np.uint64((1 << BAND) - 1)).astype(np.int64)


def _runs(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The run of each member of runs of these lengths, and its place within the run.

    >>> [array.tolist() for array in _runs(np.array([2, 0, 1]))]
    [[0, 0, 2], [0, 1, 0]]
    """
    run = np.repeat(np.arange(len(count)), count)
    return run, np.arange(len(run)) - np.repeat(np.cumsum(count) - count, count)


def _parts(count: np.ndarray) -> Iterator[slice]:
    """Slices of about BLOCK pairs each, at least one row."""
    total = np.cumsum(count)
    start = 0
    while start < len(count):
        before = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, before + BLOCK, "right")))
        yield slice(start, stop)
        start = stop
