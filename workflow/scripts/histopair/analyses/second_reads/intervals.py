"""A row's value with its 95% interval over groups, which are resampled whole."""

import numpy as np

from histopair.evaluation import bootstrap


def mean(values: np.ndarray, groups: np.ndarray) -> dict:
    """The mean of n values, NaN left out. groups: the number of each one's group, (n,)."""
    kept = np.isfinite(values)
    values, groups = values[kept], _dense(groups[kept])
    if not len(values):
        return _row(None, np.zeros(0), 0, 0)
    draws = bootstrap.resamples(groups).astype(float)
    sums, counts = (np.bincount(groups, weights) for weights in (values, np.ones(len(values))))
    return _row(values.mean(), draws @ sums / (draws @ counts), len(values), len(counts))


def auc(usual: np.ndarray, unusual: np.ndarray, groups: np.ndarray) -> dict:
    """How often an unusual value lies above a usual one, ties half: the area under the ROC curve.

    usual, unusual: of the same n images before and after something was done to them.
    """
    groups = _dense(groups)
    above = (unusual[:, None] > usual) + 0.5 * (unusual[:, None] == usual)
    weights = bootstrap.resamples(groups)[:, groups].astype(float)
    replicates = ((weights @ above) * weights).sum(1) / weights.sum(1) ** 2
    return _row(above.mean(), replicates, len(usual), int(groups.max()) + 1)


def _dense(groups: np.ndarray) -> np.ndarray:
    return np.unique(groups, return_inverse=True)[1]


def _row(value: float | None, replicates: np.ndarray, n: int, groups: int) -> dict:
    low, high = bootstrap.interval(replicates, groups) if n else (None, None)
    value = None if value is None else float(value)
    return {"value": value, "low": low, "high": high, "n": n, "n_groups": groups}
