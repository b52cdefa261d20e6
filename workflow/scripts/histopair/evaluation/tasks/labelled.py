"""What the tasks with labels share: truth and decisions are booleans (n, C), which add up.

The bootstrap resamples groups. Counts of groups are summed, for all resamples at once; metrics of
the order of scores weigh the samples instead.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from histopair.errors import InputError
from histopair.evaluation import ranking, reliability
from histopair.evaluation.metrics import EACH, METRICS, POOLED, TOP, mean_defined, names, number
from histopair.evaluation.ranking import ratio

# Metrics of the order of scores are resampled less often on large test splits: at most this many
# scores are weighed in all, yet at least FEWEST resamples are made.
SCORES = 10_000_000
FEWEST = 200


class Labels:
    """A task whose truth is which of C classes each sample has; its subclass decides.

    A subclass has `name`, `most_labels` (that a sample may have) and
        decide(scores (n, C)) -> booleans (n, C);
        are_probabilities(scores) -> bool;
        order(scores) -> (n, C), what ranks the samples of a class;
        confidences(truth, scores) -> of each decision that is judged, probability and truth;
        logits(probabilities) and probabilities(logits), (n, C) each;
        negative_log_likelihood(truth, logits) -> float, the mean over decisions.
    """

    name: str
    most_labels: float

    def truth(self, table: pd.DataFrame, classes: list[str], file: str | Path) -> np.ndarray:
        """Booleans (n, C) of the table's column `labels`; InputError for an unknown label."""
        return truth_matrix(table["labels"], classes, file)

    def context(self, table: pd.DataFrame, rows: np.ndarray) -> dict:
        """What `judge` and `replicate` need beside truth and scores: nothing. Folds are pooled."""
        return {}

    def judge(self, truth: np.ndarray, scores: np.ndarray, classes: list[str]) -> dict:
        """All metrics of one split.

        truth: booleans (n, C); scores: finite floats (n, C), higher is more likely; n > 0. Ties in
        the scores are broken by class order. macro_auc is the mean over the macro_auc_classes
        classes that have both positives and negatives, macro_ap (mAP) that of average precision
        over the macro_ap_classes classes that have positives. ece: if the scores are
        probabilities. A value that does not exist is None.
        """
        truth, scores = np.asarray(truth, bool), np.asarray(scores, float)
        if truth.shape != scores.shape or not len(truth):
            raise ValueError(
                f"truth {truth.shape} and scores {scores.shape} must be alike, not empty"
            )
        totals = {n: v.sum(0) for n, v in count(truth, self.decide(scores)).items()}
        order = self.order(scores)
        by_class = dict(zip(("auc", "precision"), ranking.by_class(truth, order), strict=True))
        values = dict.fromkeys(names(self.name))
        for name in values:
            metric = METRICS[name]
            if metric.rate:
                values[name] = number(metric.rate(totals))
            elif metric.order:
                values[name] = number(_ranked(metric.order, by_class, truth, order))
        if self.are_probabilities(scores):
            bins = reliability.bins(*self.confidences(truth, scores))
            values["ece"] = reliability.expected_error(bins)
        return values | {
            "n": len(truth),
            "classes_present": int(truth.any(0).sum()),
            "macro_auc_classes": int(np.isfinite(by_class["auc"]).sum()),
            "macro_ap_classes": int(np.isfinite(by_class["precision"]).sum()),
            "per_class": _per_class(totals, by_class, classes),
        }

    def group_counts(
        self, truth: np.ndarray, scores: np.ndarray, groups: np.ndarray
    ) -> dict[str, np.ndarray]:
        """`count` of each group's samples, summed: arrays of G rows; groups: (n,) in 0..G-1."""
        counts = count(truth, self.decide(scores))
        return {name: by_group(values, groups) for name, values in counts.items()}

    def replicate(
        self, truth: np.ndarray, scores: np.ndarray, groups: np.ndarray, draws: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Every scalar metric of one run in every resample: metric -> floats (replicates,).

        truth, scores: (n, C) as for `judge`; groups: (n,) in 0..G-1; draws: (replicates, G). NaN
        where a metric does not exist in a resample, and always for `ece`: repeating samples alone
        raises a sum of absolute deviations. Metrics of the order of scores use only the first
        `ranked_resamples` draws.
        """
        weights, counts = draws.astype(float), self.group_counts(truth, scores, groups)
        totals = {name: weights @ values for name, values in counts.items()}
        values = dict.fromkeys(names(self.name), np.full(len(draws), np.nan))
        values |= {name: METRICS[name].rate(totals) for name in values if METRICS[name].rate}
        some = draws[: ranked_resamples(truth.size)]
        order = self.order(scores)
        ranks = {EACH: _of_each(truth, order, groups, some)}
        orders = {name: METRICS[name].order for name in values if METRICS[name].order}
        if any(over == POOLED for _, over in orders.values()):
            spread = np.repeat(groups, truth.shape[1])
            pooled = ranking.weighted(truth.ravel(), order.ravel(), spread, some)
            ranks[POOLED] = dict(zip(("auc", "precision"), pooled, strict=True))
        return values | {name: ranks[over][kind] for name, (kind, over) in orders.items()}


def highest(scores: np.ndarray, kept: int) -> np.ndarray:
    """Booleans (n, C): the `kept` highest scores of each row, ties by class order."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :kept]
    decided = np.zeros(scores.shape, bool)
    np.put_along_axis(decided, best, True, axis=1)
    return decided


def truth_matrix(labels, classes: list[str], file: str | Path = "labels") -> np.ndarray:
    """Booleans of shape (n, C) from n label lists; an unknown label raises InputError."""
    column = {label: i for i, label in enumerate(classes)}
    truth = np.zeros((len(labels), len(classes)), bool)
    for row, names_of_row in enumerate(labels):
        unknown = [label for label in names_of_row if label not in column]
        if unknown:
            problem = f"label {unknown[0]!r} is not one of the classes {', '.join(classes)}"
            raise InputError(file, problem, "Predict again from the current labels", row)
        truth[row, [column[label] for label in names_of_row]] = True
    return truth


def count(truth: np.ndarray, decided: np.ndarray) -> dict[str, np.ndarray]:
    """What the count-based metrics need of each sample; summing samples sums these.

    hits, true, decided: (n, C); samples: (n, 1); at_least: (n, 3), k or more hits for k = 1, 2, 3.
    """
    hits = truth & decided
    at_least = hits.sum(1, keepdims=True) >= np.arange(1, TOP + 1)
    return {
        "hits": hits.astype(float),
        "true": truth.astype(float),
        "decided": decided.astype(float),
        "samples": np.ones((len(truth), 1)),
        "at_least": at_least.astype(float),
    }


def by_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Rows (n, k) summed over each of G groups: (G, k)."""
    summed = np.zeros((int(groups.max()) + 1, values.shape[1]))
    np.add.at(summed, groups, values)
    return summed


def ranked_resamples(scores: int) -> int:
    """How many resamples metrics of the order of `scores` scores get."""
    return max(FEWEST, SCORES // scores)


def _ranked(order: tuple[str, str], by_class: dict, truth: np.ndarray, scores: np.ndarray):
    kind, over = order
    if over == EACH:
        return mean_defined(by_class[kind])
    auc, precision = ranking.by_class(truth.reshape(-1, 1), scores.reshape(-1, 1))
    return {"auc": auc, "precision": precision}[kind][0]


def _of_each(truth, scores, groups, draws) -> dict[str, np.ndarray]:
    """Means over the classes of AUC and of average precision, (R,) each."""
    ranks = [
        ranking.weighted(truth[:, c], scores[:, c], groups, draws) for c in range(truth.shape[1])
    ]
    auc, precision = (mean_defined(np.stack(of, axis=-1)) for of in zip(*ranks, strict=True))
    return {"auc": auc, "precision": precision}


def _per_class(totals: dict, by_class: dict, classes: list[str]) -> dict:
    hits, true, decided = totals["hits"], totals["true"], totals["decided"]
    columns = {
        "recall": ratio(hits, true),
        "precision": ratio(hits, decided),
        "f1": ratio(2 * hits, true + decided),
        "auc": by_class["auc"],
        "average_precision": by_class["precision"],
    }
    return {
        label: {"support": int(true[c]), "decided": int(decided[c])}
        | {name: number(values[c]) for name, values in columns.items()}
        for c, label in enumerate(classes)
    }
