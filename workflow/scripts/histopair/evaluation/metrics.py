"""The metrics, one entry each: its title, the tasks that have it, and what it is computed from.

A formula of counts is written once, for sums over samples with any leading axes: a run's metrics
sum over a split, the bootstrap over the groups of every resample.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from histopair.evaluation.ranking import ratio

TOP = 3
EACH, POOLED = "each", "pooled"  # classes of a metric of the order of scores


@dataclass(frozen=True)
class Metric:
    """A scalar metric of a split.

    rate: its values (...) from summed counts (..., k) as `tasks.labelled.count` names them, NaN
    where it does not exist. order: for a metric of the order of scores, "auc" or "precision", and
    whether it is the mean over classes, each against the rest, or of all cells pooled. A metric
    with neither is computed by its tasks themselves.
    """

    title: str
    tasks: tuple[str, ...]
    rate: Callable[[dict[str, np.ndarray]], np.ndarray] | None = None
    order: tuple[str, str] | None = None
    lower_is_better: bool = False


def names(task: str) -> list[str]:
    """The metrics of a task, in the order of METRICS."""
    return [name for name, metric in METRICS.items() if task in metric.tasks]


def titles() -> dict[str, str]:
    return {name: metric.title for name, metric in METRICS.items()}


def sign(name: str) -> int:
    """1 if higher is better, else -1."""
    return -1 if METRICS[name].lower_is_better else 1


def top(classes: int) -> int:
    """How many classes a multi-label decision names: TOP, and always fewer than there are."""
    return max(1, min(TOP, classes - 1))


def mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of the values that exist, NaN if none does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is meant to be NaN
        return np.nanmean(values, axis=-1)


def number(value: float) -> float | None:
    """The value as a float for JSON; None if it does not exist."""
    return float(value) if np.isfinite(value) else None


def mean_known(values: list[float | None]) -> float | None:
    """Mean of the values that exist, None if none does."""
    existing = [value for value in values if value is not None]
    return sum(existing) / len(existing) if existing else None


def accuracy(counts: dict[str, np.ndarray]) -> np.ndarray:
    return ratio(counts["hits"].sum(-1), counts["samples"][..., 0])


def balanced_accuracy(counts: dict[str, np.ndarray]) -> np.ndarray:
    """Mean recall over the classes that are true at least once."""
    return mean_defined(ratio(counts["hits"], counts["true"]))


def macro_f1(counts: dict[str, np.ndarray]) -> np.ndarray:
    """Mean F1 over the classes that are true at least once, so that methods share their classes.

    scikit-learn also averages over those that are decided and never true, where F1 is 0.
    """
    return mean_defined(np.where(counts["true"] > 0, _f1(counts), np.nan))


def top3_f1_micro(counts: dict[str, np.ndarray]) -> np.ndarray:
    decisions = (counts["true"] + counts["decided"]).sum(-1)
    return ratio(2 * counts["hits"].sum(-1), decisions)


def top3_f1_macro(counts: dict[str, np.ndarray]) -> np.ndarray:
    """`macro_f1` of the top three.

    scikit-learn, as the multi-label paper used it, counts the other classes as 0. This is
    equal if each class is present; if not, it lowers every method on a small test split.
    """
    return macro_f1(counts)


def hamming(counts: dict[str, np.ndarray]) -> np.ndarray:
    """Share of wrong cells. Where every sample has three labels it is 6 (1 - F1 micro) / C."""
    true = counts["true"]
    wrong = (true + counts["decided"] - 2 * counts["hits"]).sum(-1)
    return ratio(wrong, counts["samples"][..., 0] * true.shape[-1])


def label_accuracy(k: int) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """Share of samples with at least k true labels among those decided.

    A sample with fewer than k labels is kept and counts as a miss at k. NaN where fewer than k
    classes are decided.
    """

    def rate(counts: dict[str, np.ndarray]) -> np.ndarray:
        share = ratio(counts["at_least"], counts["samples"])[..., k - 1]
        return share if k <= top(counts["true"].shape[-1]) else np.full_like(share, np.nan)

    return rate


def _f1(counts: dict[str, np.ndarray]) -> np.ndarray:
    return ratio(2 * counts["hits"], counts["true"] + counts["decided"])


SINGLE, MULTI, SURVIVAL = ("single",), ("multi",), ("survival",)
METRICS = {
    "accuracy": Metric("Accuracy", SINGLE, accuracy),
    "balanced_accuracy": Metric("Balanced accuracy", SINGLE, balanced_accuracy),
    "macro_f1": Metric("Macro F1", SINGLE, macro_f1),
    "micro_auc": Metric("Micro AUC", MULTI, order=("auc", POOLED)),
    "macro_auc": Metric("Macro AUC", SINGLE + MULTI, order=("auc", EACH)),
    "macro_ap": Metric("mAP", SINGLE + MULTI, order=("precision", EACH)),
    "top3_f1_micro": Metric("Micro F1 (top 3)", MULTI, top3_f1_micro),
    "top3_f1_macro": Metric("Macro F1 (top 3)", MULTI, top3_f1_macro),
    "hamming": Metric("Hamming loss (top 3)", MULTI, hamming, lower_is_better=True),
    "label_accuracy_1": Metric("1-label accuracy", MULTI, label_accuracy(1)),
    "label_accuracy_2": Metric("2-label accuracy", MULTI, label_accuracy(2)),
    "label_accuracy_3": Metric("3-label accuracy", MULTI, label_accuracy(3)),
    # Repeating samples raises a sum of absolute deviations: it has no interval.
    "ece": Metric("Calibration error", SINGLE + MULTI, lower_is_better=True),
    "c_index": Metric("C-index", SURVIVAL),
    "integrated_auc": Metric("Integrated AUC", SURVIVAL),
}
