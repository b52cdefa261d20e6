"""Metrics of the order of scores: area under the ROC curve and average precision.

Samples may carry weights, one row of them per resample, so that the bootstrap needs one pass over
sorted scores for all its resamples and both metrics.
"""

import numpy as np

CELLS = 4_000_000  # weights held at once: 32 MB
# Above it float32 has too few numbers: shares that differ are stored as one. Below it equal shares
# are equal indeed, as those of k neighbours are.
SURE = 1 - 2.0**-10
LEAST = 2.0**-149  # the smallest float32 above 0


def untied(probabilities: np.ndarray) -> np.ndarray:
    """What orders samples as their probabilities (n, C) do, without the ties of float32 near 1.

    A probability above SURE becomes 1 over the sum of the other classes' probabilities, its odds
    and 1: numbers near 0 keep all their digits. All others stay, below it. Returns finite float64.
    """
    shares = np.asarray(probabilities, float)
    others = np.where(shares > SURE, 0, shares).sum(1, keepdims=True)  # one of a row exceeds it
    return np.where(shares > SURE, 1 / np.maximum(others, LEAST), shares)


def by_class(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUC and average precision of each class (C,), one against the rest; NaN if undefined.

    truth: booleans (n, C); scores: (n, C).
    """
    once, samples = np.ones((1, len(truth)), int), np.arange(len(truth))
    ranks = [weighted(truth[:, c], scores[:, c], samples, once) for c in range(truth.shape[1])]
    auc, precision = zip(*ranks, strict=True)
    return np.concatenate(auc), np.concatenate(precision)


def weighted(
    truth: np.ndarray, scores: np.ndarray, groups: np.ndarray, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """AUC and average precision with samples weighted by how often their group is drawn.

    truth, scores, groups: (m,); draws: (R, G), with `groups` in 0..G-1. Returns two of (R,).
    AUC: the weighted share of (positive, negative) pairs in which the positive scores higher, ties
    counting half; NaN without positives or without negatives. Average precision: the mean over
    positives of the precision among all that score at least as high, as scikit-learn's, without
    interpolation; NaN without positives.
    """
    order = np.argsort(scores, kind="stable")
    truth, scores, groups = truth[order], scores[order], groups[order]
    positive = np.flatnonzero(truth)
    if not len(positive):
        return np.full(len(draws), np.nan), np.full(len(draws), np.nan)
    sides = [
        np.searchsorted(of, scores[positive], side=side)
        for of in (scores, scores[positive])
        for side in ("left", "right")
    ]
    step = max(1, CELLS // len(truth))
    parts = [
        _weighted(draws[i : i + step], groups, positive, sides) for i in range(0, len(draws), step)
    ]
    auc, precision = zip(*parts, strict=True)
    return np.concatenate(auc), np.concatenate(precision)


def _weighted(draws, groups, positive, sides) -> tuple[np.ndarray, np.ndarray]:
    below, upto, positives_below, positives_upto = sides
    weights = draws[:, groups]
    passed, hits = _running(weights), _running(weights[:, positive])
    weights = weights[:, positive]
    wins = (passed[:, below] - hits[:, positives_below]) + (
        passed[:, upto] - hits[:, positives_upto]
    )
    positives, everything = hits[:, -1:].astype(float), passed[:, -1:].astype(float)
    pairs = (positives * (everything - positives))[:, 0]
    auc = ratio((weights * wins.astype(float)).sum(1) / 2, pairs)
    precision = ratio(positives - hits[:, positives_below], everything - passed[:, below])
    precision = np.where(weights > 0, weights * precision, 0).sum(1)
    return auc, ratio(precision, positives[:, 0])


def _running(weights: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, 2 ... columns."""
    sums = np.zeros((len(weights), weights.shape[1] + 1), weights.dtype)
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, NaN where whole is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
