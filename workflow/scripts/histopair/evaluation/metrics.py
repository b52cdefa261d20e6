"""Metrics of one run: what is computed from true labels and class scores, and how.

Count-based metrics are written once, for sums over samples with any leading axes: `metrics` sums
over a split, `bootstrap` over the groups of every resample.
"""

import warnings
from pathlib import Path

import numpy as np

from histopair.errors import InputError
from histopair.evaluation import calibration, convergence, ranking
from histopair.evaluation.ranking import ratio
from histopair.files import tables

TOP = 3
SINGLE = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "macro_ap", "ece")
MULTI = (
    "micro_auc",
    "macro_auc",
    "macro_ap",
    "top3_f1_micro",
    "top3_f1_macro",
    "hamming",
    "label_accuracy_1",
    "label_accuracy_2",
    "label_accuracy_3",
    "ece",
)
RANKED = ("macro_auc", "macro_ap", "micro_auc")  # from the order of scores, not from decisions
LOWER_IS_BETTER = ("hamming", "ece")
TITLES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "macro_auc": "Macro AUC",
    "macro_ap": "mAP",
    "micro_auc": "Micro AUC",
    "top3_f1_micro": "Micro F1 (top 3)",
    "top3_f1_macro": "Macro F1 (top 3)",
    "hamming": "Hamming loss (top 3)",
    "label_accuracy_1": "1-label accuracy",
    "label_accuracy_2": "2-label accuracy",
    "label_accuracy_3": "3-label accuracy",
    "ece": "Calibration error",
}


def names(task: str) -> tuple[str, ...]:
    """The scalar metrics of a task, "single" or "multi"."""
    return {"single": SINGLE, "multi": MULTI}[task]


def score(predictions: str | Path, history: str | Path, output: str | Path, about: dict) -> None:
    """Write metrics.json for one run: every metric of every split in its predictions.parquet.

    `calibration` is that of `calibration.judge`: the temperature that fits the validation split;
    `convergence` that of `convergence.judge`, from the run's history.parquet.
    Raises InputError for a label that is not among the run's classes and for scores that are not
    finite numbers.
    """
    table = tables.read(predictions, columns=["split", "labels"])
    made = tables.about(predictions)
    task, classes = made["task"], made["classes"]
    truth = truth_matrix(table["labels"], classes, predictions)
    scores = tables.matrix(predictions, "scores")
    if not np.isfinite(scores).all():
        raise InputError(predictions, "scores are not finite", "Train the run again, lower its lr")
    parts = {}
    for split in sorted(table["split"].unique()):
        rows = (table["split"] == split).to_numpy()
        parts[split] = truth[rows], scores[rows]
    found = {
        "task": task,
        "classes": classes,
        "n": len(table),
        "splits": {split: metrics(*part, task, classes) for split, part in parts.items()},
        "calibration": calibration.judge(parts, task),
        "convergence": convergence.judge(tables.read(history)),
    }
    tables.write_json(output, found | {"about": about})


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


def metrics(truth: np.ndarray, scores: np.ndarray, task: str, classes: list[str]) -> dict:
    """All metrics of one split.

    truth: booleans (n, C); scores: finite floats (n, C), higher is more likely; n > 0.
    Single-label ("single"): the decision is the class of the highest score.
        accuracy; balanced_accuracy: mean recall over the classes present; macro_f1: mean F1 over
        the classes that are true or predicted at least once; macro_auc: one against the rest.
    Multi-label ("multi"): the decision is the TOP = 3 classes of the highest scores.
        top3_f1_micro; top3_f1_macro: mean over the classes_present classes that are true at least
        once (scikit-learn, as the multi-label paper used it, counts the others as 0: equal where
        each class is present, else a small test split lowers every method); hamming: share of wrong
        cells; label_accuracy_k: share of samples with at least k true labels among the top 3. A
        sample with fewer than k labels is kept and counts as a miss at k, so label_ceiling_k, the
        share of samples that have at least k labels, is the most that can be reached.
        With three classes or fewer all of them would be decided, rightly for any model: the
        decision is then all but the lowest (`top`), and label_accuracy_k is None for greater k.
        The identities F1 micro = (A1 + A2 + A3) / 3 and hamming = 6 (1 - F1) / C hold where every
        sample has exactly three labels.
    Ties in the scores are broken by class order. macro_auc is the mean over the macro_auc_classes
    classes that have both positives and negatives, macro_ap (mAP) that of average precision over
    the macro_ap_classes classes that have positives. ece: `calibration.expected_error`, where the
    scores are probabilities. A value that does not exist is None.
    """
    truth, scores = np.asarray(truth, bool), np.asarray(scores, float)
    if truth.shape != scores.shape or not len(truth):
        raise ValueError(f"truth {truth.shape} and scores {scores.shape} must be alike, not empty")
    counts = count(truth, decide(scores, task))
    totals = {name: values.sum(0) for name, values in counts.items()}
    found = rates(totals, task)
    auc, precision = ranking.by_class(truth, scores)
    found |= {"macro_auc": mean_defined(auc), "macro_ap": mean_defined(precision)}
    if task == "multi":
        found["micro_auc"] = ranking.by_class(truth.reshape(-1, 1), scores.reshape(-1, 1))[0][0]
        ceilings = [(truth.sum(1) >= k).mean() for k in range(1, TOP + 1)]
        found |= {f"label_ceiling_{k}": share for k, share in enumerate(ceilings, 1)}
    if calibration.are_probabilities(scores, task):
        found["ece"] = calibration.expected_error(calibration.reliability(truth, scores, task))
    result = dict.fromkeys(names(task)) | {name: _number(value) for name, value in found.items()}
    result["n"] = len(truth)
    if task == "multi":
        result["top"] = top(truth.shape[1])
    result["classes_present"] = int(truth.any(0).sum())
    result["macro_auc_classes"] = int(np.isfinite(auc).sum())
    result["macro_ap_classes"] = int(np.isfinite(precision).sum())
    result["per_class"] = _per_class(totals, auc, precision, classes)
    return result


def decide(scores: np.ndarray, task: str) -> np.ndarray:
    """Booleans (n, C): the highest score ("single") or the `top` highest ("multi") of each row."""
    kept = 1 if task == "single" else top(scores.shape[1])
    best = np.argsort(-scores, axis=1, kind="stable")[:, :kept]
    decided = np.zeros(scores.shape, bool)
    np.put_along_axis(decided, best, True, axis=1)
    return decided


def top(classes: int) -> int:
    """How many classes a multi-label decision names: TOP, and always fewer than there are."""
    return max(1, min(TOP, classes - 1))


def count(truth: np.ndarray, decided: np.ndarray) -> dict[str, np.ndarray]:
    """What the count-based metrics need of each sample; summing samples sums these.

    hits, true, decided: (n, C); samples: (n, 1); at_least: (n, 3), k or more hits for k = 1, 2, 3.
    """
    hits = truth & decided
    at_least = hits.sum(1, keepdims=True) >= np.arange(1, TOP + 1)
    samples = np.ones((len(truth), 1))
    return {
        "hits": hits.astype(float),
        "true": truth.astype(float),
        "decided": decided.astype(float),
        "samples": samples,
        "at_least": at_least.astype(float),
    }


def rates(totals: dict[str, np.ndarray], task: str) -> dict[str, np.ndarray]:
    """Count-based metrics from summed counts of shapes (..., C); NaN where one does not exist."""
    hits, true, decided = totals["hits"], totals["true"], totals["decided"]
    samples = totals["samples"][..., 0]
    f1 = ratio(2 * hits, true + decided)
    if task == "single":
        return {
            "accuracy": ratio(hits.sum(-1), samples),
            "balanced_accuracy": mean_defined(ratio(hits, true)),
            "macro_f1": mean_defined(f1),
        }
    wrong = (true + decided - 2 * hits).sum(-1)
    found = {
        "top3_f1_micro": ratio(2 * hits.sum(-1), (true + decided).sum(-1)),
        "top3_f1_macro": mean_defined(np.where(true > 0, f1, np.nan)),
        "hamming": ratio(wrong, samples * true.shape[-1]),
    }
    shares = ratio(totals["at_least"], totals["samples"])
    shares = np.where(np.arange(TOP) < top(true.shape[-1]), shares, np.nan)
    return found | {f"label_accuracy_{k}": shares[..., k - 1] for k in range(1, TOP + 1)}


def mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of the values that exist, NaN if none does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is meant to be NaN
        return np.nanmean(values, axis=-1)


def _per_class(totals: dict, auc: np.ndarray, average: np.ndarray, classes: list[str]) -> dict:
    hits, true, decided = totals["hits"], totals["true"], totals["decided"]
    columns = {
        "recall": ratio(hits, true),
        "precision": ratio(hits, decided),
        "f1": ratio(2 * hits, true + decided),
        "auc": auc,
        "average_precision": average,
    }
    return {
        label: {"support": int(true[c]), "decided": int(decided[c])}
        | {name: _number(values[c]) for name, values in columns.items()}
        for c, label in enumerate(classes)
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
