"""Which samples a reader should see first: where models are unsure, where they differ, what is new.

Probabilities are (n, C) of one label per sample, or of C independent labels (`several`).
"""

from collections.abc import Sequence

import numpy as np

LEAST = 1e-12  # probability, so that its logarithm exists
BLOCK = 1024  # samples that others are compared with at once


def uncertainty(probabilities: np.ndarray, several: bool = False) -> np.ndarray:
    """The entropy (n,) in nats of a sample's classes, or the sum over its labels (Settles 2009)."""
    shares = np.clip(np.asarray(probabilities, float), LEAST, 1)
    entropy = -shares * np.log(shares)
    if several:
        others = np.clip(1 - shares, LEAST, 1)
        entropy -= others * np.log(others)
    return entropy.sum(1)


def disagreement(members: Sequence[np.ndarray], several: bool = False) -> np.ndarray:
    """How much K models differ (n,), in nats: entropy of their mean less their mean entropy.

    This is the Jensen-Shannon divergence of the K predictions (BALD: Houlsby 2011); 0 where they
    are equal, and for one model.
    """
    mean = np.mean(members, axis=0)
    each = np.mean([uncertainty(member, several) for member in members], axis=0)
    return np.maximum(uncertainty(mean, several) - each, 0)


def farthest_first(
    vectors: np.ndarray, count: int, labelled: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` of n samples, (count,), and the distance of each when it was taken.

    The next sample is the farthest from all that are labelled or taken (k-centre greedy: Sener and
    Savarese 2018, algorithm 1; ties go to the earlier row). vectors: (n, d); labelled: booleans
    (n,), which are never taken. Without labelled samples the one nearest to the mean comes first,
    and its distance is that to the mean.
    """
    vectors = np.asarray(vectors, float)
    taken = np.zeros(len(vectors), bool) if labelled is None else labelled.copy()
    count = min(count, int((~taken).sum()))
    order, reach = [], []
    if taken.any():
        nearest = _to_nearest(vectors, vectors[taken])
    elif count:
        from_mean = _distances(vectors, vectors.mean(0))
        first = int(from_mean.argmin())
        order, reach, taken[first] = [first], [from_mean[first]], True
        nearest = _distances(vectors, vectors[first])
    while len(order) < count:
        row = int(np.where(taken, -1.0, nearest).argmax())
        order.append(row)
        reach.append(nearest[row])
        taken[row] = True
        nearest = np.minimum(nearest, _distances(vectors, vectors[row]))
    return np.array(order, int), np.array(reach, float)


def _distances(vectors: np.ndarray, one: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors - one, axis=1)


def _to_nearest(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The distance (n,) of each vector to the nearest of the others."""
    lengths, nearest = (vectors**2).sum(1), np.full(len(vectors), np.inf)
    for start in range(0, len(others), BLOCK):
        block = others[start : start + BLOCK]
        squares = lengths[:, None] + (block**2).sum(1) - 2 * vectors @ block.T
        nearest = np.minimum(nearest, squares.min(1))
    return np.sqrt(np.maximum(nearest, 0))
