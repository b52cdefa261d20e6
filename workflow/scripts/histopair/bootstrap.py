"""How sure a table's numbers are: bootstrap over the groups (patients, videos) of the test split.

Samples of one group are alike, so whole groups are resampled, with replacement. Within one
resample a method's metric is averaged over its seeds, and all methods see the same resamples, so
that differences are paired. An interval therefore says how the mean over these seeds would move
with other test patients; how a single training moves is what the standard deviation over seeds
says.
"""

import numpy as np

from histopair import metrics

REPLICATES = 1000
SEED = 20250416
CELLS = 4_000_000  # floats held at once while computing AUCs: 32 MB


def resamples(groups: np.ndarray, replicates: int = REPLICATES, seed: int = SEED) -> np.ndarray:
    """How often each of the G groups is drawn in each resample: integers (replicates, G).

    groups: group index 0..G-1 of each sample.
    """
    count = int(groups.max()) + 1
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), replicates)


def replicate(
    truth: np.ndarray, scores: np.ndarray, groups: np.ndarray, draws: np.ndarray, task: str
) -> dict[str, np.ndarray]:
    """Every scalar metric of one run in every resample: metric -> floats (replicates,).

    truth, scores: (n, C) as for `metrics.metrics`; groups: (n,) in 0..G-1; draws: (replicates, G).
    NaN where a metric does not exist in a resample.
    """
    counts = metrics.count(truth, metrics.decide(scores, task))
    totals = {name: draws @ _by_group(values, groups) for name, values in counts.items()}
    found = metrics.rates(totals, task)
    classes = range(truth.shape[1])
    aucs = [weighted_auc(truth[:, c], scores[:, c], groups, draws) for c in classes]
    found["macro_auc"] = metrics.mean_defined(np.stack(aucs, axis=-1))
    if task == "multi":
        spread = np.repeat(groups, truth.shape[1])
        found["micro_auc"] = weighted_auc(truth.ravel(), scores.ravel(), spread, draws)
    return {name: found[name] for name in metrics.names(task)}


def weighted_auc(
    truth: np.ndarray, scores: np.ndarray, groups: np.ndarray, draws: np.ndarray
) -> np.ndarray:
    """Area under the ROC curve with samples weighted by how often their group is drawn.

    truth, scores, groups: (m,); draws: (replicates, G). Returns (replicates,): the weighted share
    of (positive, negative) pairs in which the positive scores higher, ties counting half; NaN in a
    resample without positives or without negatives.
    """
    order = np.argsort(scores, kind="stable")
    truth, scores, groups = truth[order], scores[order], groups[order]
    positive, negative = np.flatnonzero(truth), np.flatnonzero(~truth)
    if not len(positive) or not len(negative):
        return np.full(len(draws), np.nan)
    below = np.searchsorted(scores[negative], scores[positive], side="left")
    upto = np.searchsorted(scores[negative], scores[positive], side="right")
    step = max(1, CELLS // len(truth))
    parts = [
        _auc_of(draws[i : i + step], groups[positive], groups[negative], below, upto)
        for i in range(0, len(draws), step)
    ]
    return np.concatenate(parts)


def interval(values: np.ndarray, groups: int) -> tuple[float | None, float | None]:
    """The 2.5 and 97.5 percentiles of a replicated metric or difference.

    (None, None) for fewer than two groups, where resampling says nothing, and where the metric
    exists in fewer than half of the resamples.
    """
    existing = values[np.isfinite(values)]
    if groups < 2 or len(existing) < len(values) / 2:
        return None, None
    low, high = np.percentile(existing, [2.5, 97.5])
    return float(low), float(high)


def _by_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    summed = np.zeros((int(groups.max()) + 1, values.shape[1]))
    np.add.at(summed, groups, values)
    return summed


def _auc_of(draws, positive, negative, below, upto) -> np.ndarray:
    weights = draws[:, positive].astype(float)
    passed = np.zeros((len(draws), len(negative) + 1))
    np.cumsum(draws[:, negative], axis=1, out=passed[:, 1:])
    wins = (weights * (passed[:, below] + passed[:, upto])).sum(1) / 2
    return metrics.ratio(wins, weights.sum(1) * passed[:, -1])
