"""How sure a table's numbers are: bootstrap over the groups (patients, videos) of the test split.

Samples of one group are alike, so whole groups are resampled, with replacement. All methods and
seeds see the same resamples, so that differences are paired. How a mean over seeds moves with other
test patients is one part of its interval; how trainings differ is the other (`two_way`).
"""

import numpy as np

from histopair.evaluation import metrics, ranking

REPLICATES = 1000
SEED = 20250416
# Metrics of the order of scores are resampled less often on large test splits: at most this many
# scores are weighed in all, yet at least FEWEST resamples are made.
SCORES = 10_000_000
FEWEST = 200


def resamples(groups: np.ndarray, replicates: int = REPLICATES, seed: int = SEED) -> np.ndarray:
    """How often each of the G groups is drawn in each resample: integers (replicates, G).

    groups: group index 0..G-1 of each sample.
    """
    count = int(groups.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), replicates)
    return drawn.astype(np.int32)


def replicate(
    truth: np.ndarray, scores: np.ndarray, groups: np.ndarray, draws: np.ndarray, task: str
) -> dict[str, np.ndarray]:
    """Every scalar metric of one run in every resample: metric -> floats (replicates,).

    truth, scores: (n, C) as for `metrics.metrics`; groups: (n,) in 0..G-1; draws: (replicates, G).
    NaN where a metric does not exist in a resample, and always for `ece`: repeating samples alone
    raises a sum of absolute deviations. Metrics of the order of scores take the first
    `ranked_resamples` draws only.
    """
    weights, counts = draws.astype(float), group_counts(truth, scores, groups, task)
    totals = {name: weights @ values for name, values in counts.items()}
    found = metrics.rates(totals, task) | {"ece": np.full(len(draws), np.nan)}
    some = draws[: ranked_resamples(truth.size)]
    ranks = [
        ranking.weighted(truth[:, c], scores[:, c], groups, some) for c in range(truth.shape[1])
    ]
    for name, values in zip(("macro_auc", "macro_ap"), zip(*ranks, strict=True), strict=True):
        found[name] = metrics.mean_defined(np.stack(values, axis=-1))
    if task == "multi":
        spread = np.repeat(groups, truth.shape[1])
        found["micro_auc"] = ranking.weighted(truth.ravel(), scores.ravel(), spread, some)[0]
    return {name: found[name] for name in metrics.names(task)}


def ranked_resamples(scores: int) -> int:
    """How many resamples metrics of the order of `scores` scores get."""
    return max(FEWEST, SCORES // scores)


def group_counts(
    truth: np.ndarray, scores: np.ndarray, groups: np.ndarray, task: str
) -> dict[str, np.ndarray]:
    """`metrics.count` of each group's samples, summed: arrays of G rows."""
    counts = metrics.count(truth, metrics.decide(scores, task))
    return {name: by_group(values, groups) for name, values in counts.items()}


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


def by_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Rows (n, k) summed over each of G groups: (G, k)."""
    summed = np.zeros((int(groups.max()) + 1, values.shape[1]))
    np.add.at(summed, groups, values)
    return summed
