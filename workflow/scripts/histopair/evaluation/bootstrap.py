"""How sure a table's numbers are: bootstrap over the groups (patients, videos) of the test split.

Samples of one group are alike, so whole groups are resampled, with replacement. All methods and
seeds see the same resamples, so that differences are paired. How a mean over seeds moves with other
test patients is one part of its interval; how trainings differ is the other (`two_way`).
"""

import numpy as np

REPLICATES = 1000
SEED = 20250416


def resamples(groups: np.ndarray, replicates: int = REPLICATES, seed: int = SEED) -> np.ndarray:
    """How often each of the G groups is drawn in each resample: integers (replicates, G).

    groups: group index 0..G-1 of each sample.
    """
    count = int(groups.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), replicates)
    return drawn.astype(np.int32)


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
