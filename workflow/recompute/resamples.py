"""Metrics under resampling of test groups."""

import numpy as np

from recompute import artifacts, concordance
from recompute.artifacts import Predictions
from recompute.cells import Cell
from recompute.metrics import decisions, order, top

SEED = 7
COUNTED, RANKED = 4000, 500  # resamples for metrics of decisions, and of the order of scores
LARGEST = 100_000  # scores of all labels together; with more, their AUC is not resampled
# Metrics that may have no resamples here: with many scores, and AUCs over time.
MAY_BE_LEFT = ("micro_auc", "integrated_auc")
ORDER = ("macro_auc", "macro_ap", "micro_auc")
# Resamples behind a stated number: fewer for metrics of the order of scores, by how many scores.
THEIRS, SCORES, FEWEST = 1000, 100_000_000, 200


def theirs(cell: Cell, metric: str) -> int:
    """How many resamples are behind a stated interval of this metric."""
    if metric not in ORDER:
        return THEIRS
    return min(THEIRS, max(FEWEST, SCORES // cell.tests[cell.methods[0]][0].truth.size))


@artifacts.remembered
def replicates(cell: Cell, method: str) -> dict[str, np.ndarray]:
    """Every metric's mean over the method's seeds in resamples of the cell's test groups.

    Without the calibration error, which repeated samples raise by themselves.
    """
    count = cell.groups.max() + 1
    draws = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), COUNTED)
    seeds = [_metrics(test, cell.groups, draws) for test in cell.tests[method]]
    return {name: np.mean([seed[name] for seed in seeds], axis=0) for name in seeds[0]}


def _metrics(test: Predictions, groups: np.ndarray, draws: np.ndarray) -> dict[str, np.ndarray]:
    if test.task == "survival":
        return concordance.replicates(test, groups, draws)
    counts = {name: draws @ of_groups(value, groups) for name, value in counted(test).items()}
    metrics = rates(counts, test.task)
    some = draws[:RANKED][:, groups].astype(float)
    ranks, columns = order(test), range(test.truth.shape[1])
    pairs = [(test.truth[:, c], ranks[:, c]) for c in columns]
    metrics["macro_ap"] = _nanmean([_precision(*pair, some) for pair in pairs])
    metrics["macro_auc"] = _nanmean([_auc(*pair, some) for pair in pairs])
    if test.task == "multi" and test.truth.size <= LARGEST:
        spread = np.repeat(some, len(columns), axis=1)
        metrics["micro_auc"] = _auc(test.truth.ravel(), ranks.ravel(), spread)
    return metrics


def counted(test: Predictions) -> dict[str, np.ndarray]:
    """The counts behind metrics of decisions, per sample: (n, k)."""
    decided = decisions(test)
    hits = test.truth & decided
    at_least = hits.sum(1)[:, None] >= np.array([1, 2, 3])
    counts = {"hits": hits, "true": test.truth, "decided": decided, "at_least": at_least}
    counts["samples"] = np.ones((len(decided), 1))
    return {name: value.astype(float) for name, value in counts.items()}


def of_groups(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Sums over the samples of each group."""
    one_hot = np.zeros((groups.max() + 1, len(groups)))
    one_hot[groups, np.arange(len(groups))] = 1
    return one_hot @ values


def rates(counts: dict[str, np.ndarray], task: str) -> dict[str, np.ndarray]:
    """Metrics of decisions from sums (..., k)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        samples = counts["samples"][..., 0]
        f1 = 2 * counts["hits"] / (counts["true"] + counts["decided"])
        if task == "single":
            return {
                "accuracy": counts["hits"].sum(-1) / samples,
                "balanced_accuracy": _mean_last(counts["hits"] / counts["true"]),
                "macro_f1": _mean_last(np.where(counts["true"] > 0, f1, np.nan)),
            }
        both = (counts["true"] + counts["decided"]).sum(-1)
        hits = 2 * counts["hits"].sum(-1)
        metrics = {
            "top3_f1_micro": hits / both,
            "top3_f1_macro": _mean_last(np.where(counts["true"] > 0, f1, np.nan)),
            "hamming": (both - hits) / samples / f1.shape[-1],
        }
        shares = counts["at_least"] / samples[..., None]
        shares = np.where(np.arange(1, 4) <= top(f1.shape[-1]), shares, np.nan)
    return metrics | {f"label_accuracy_{k}": shares[..., k - 1] for k in (1, 2, 3)}


def _auc(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted share of pairs in the right order; a tie is half a pair (R,)."""
    order = np.argsort(scores, kind="stable")
    starts = np.unique(scores[order], return_index=True)[1]
    one, other = (
        np.add.reduceat(weights[:, order] * side[order], starts, axis=1) for side in (truth, ~truth)
    )
    below = np.cumsum(other, axis=1) - other
    with np.errstate(invalid="ignore", divide="ignore"):
        return (one * (below + other / 2)).sum(1) / (one.sum(1) * other.sum(1))


def _precision(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted average precision (R,)."""
    falling = np.argsort(-scores, kind="stable")
    truth, scores, weights = truth[falling], scores[falling], weights[:, falling]
    last = np.searchsorted(-scores, -scores, side="right") - 1
    hits = np.cumsum(weights * truth, axis=1)[:, last]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = hits / np.cumsum(weights, axis=1)[:, last]
        return np.nansum(weights * truth * precision, axis=1) / (weights * truth).sum(1)


def _mean_last(values: np.ndarray) -> np.ndarray:
    exists = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(exists, values, 0).sum(-1) / exists.sum(-1)


def _nanmean(values: list[np.ndarray]) -> np.ndarray:
    return _mean_last(np.stack(values, axis=-1))
