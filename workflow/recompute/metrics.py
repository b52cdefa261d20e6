"""Metrics of metrics.json, anew from predictions.parquet by scikit-learn."""

import warnings
from pathlib import Path

import numpy as np
from sklearn import metrics as sk

from recompute import artifacts
from recompute.artifacts import Predictions
from recompute.tally import Tally

BINS = 15
TOP = 3
# They count decisions: where no probability is a tie, they depend on no order of summing.
SINGLE = ("accuracy", "balanced_accuracy", "macro_f1")


def metrics_of_runs(results: Path) -> Tally:
    """Every scalar metric and every metric per class, of every split of every run."""
    tally = Tally("metrics of runs")
    for file in artifacts.run_files(results, "metrics.json"):
        with tally.reading(file):
            splits = artifacts.read_json(file)["splits"]
            made = artifacts.predictions(file.with_name("predictions.parquet"))
            for split, stated in splits.items():
                _compare(tally, file, split, stated, made.of(split))
    return tally


def _compare(tally: Tally, file: Path, split: str, stated: dict, made: Predictions) -> None:
    for name, value in scalars(made).items():
        if name in stated and not (stated[name] is None and _is_perfect(name, made)):
            tally.equal(file, f"{split} {name}", stated[name], value)
    for label, values in per_class(made).items():
        for name, value in values.items():
            tally.equal(file, f"{split} {label} {name}", stated["per_class"][label][name], value)


def _is_perfect(name: str, made: Predictions) -> bool:
    """Metrics of the three best are perfect for any model where there are but three classes."""
    top = name.startswith(("top3", "hamming", "label_accuracy"))
    return top and len(made.classes) <= TOP


def scalars(made: Predictions) -> dict[str, float | None]:
    """All scalar metrics of one split by name; None for one that does not exist."""
    truth, scores, decided = made.truth, made.scores, decisions(made)
    ranked = [column for column in range(truth.shape[1]) if truth[:, column].any()]
    split = [column for column in ranked if not truth[:, column].all()]
    found = {
        "n": len(truth),
        "macro_auc": _mean([sk.roc_auc_score(truth[:, c], scores[:, c]) for c in split]),
        "macro_ap": _mean([sk.average_precision_score(truth[:, c], scores[:, c]) for c in ranked]),
        "ece": expected_error(*judged(made)) if are_probabilities(made) else None,
    }
    return found | (_single if made.task == "single" else _multi)(truth, scores, decided)


def _single(truth: np.ndarray, scores: np.ndarray, decided: np.ndarray) -> dict:
    is_, told = truth.argmax(1), decided.argmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes that are told and never true
        return {
            "accuracy": sk.accuracy_score(is_, told),
            "balanced_accuracy": sk.balanced_accuracy_score(is_, told),
            "macro_f1": sk.f1_score(is_, told, average="macro"),
        }


def _multi(truth: np.ndarray, scores: np.ndarray, decided: np.ndarray) -> dict:
    hits = (truth & decided).sum(1)
    mixed = truth.any() and not truth.all()
    return {
        "micro_auc": sk.roc_auc_score(truth.ravel(), scores.ravel()) if mixed else None,
        "top3_f1_micro": sk.f1_score(truth, decided, average="micro", zero_division=0),
        "top3_f1_macro": sk.f1_score(truth, decided, average="macro", zero_division=0),
        "hamming": sk.hamming_loss(truth, decided),
    } | {f"label_accuracy_{k}": (hits >= k).mean() for k in (1, 2, 3)}


def per_class(made: Predictions) -> dict[str, dict]:
    """Support, recall and precision of each class; None for what does not exist."""
    decided = decisions(made)
    support, told = made.truth.sum(0), decided.sum(0)
    hits = (made.truth & decided).sum(0)
    return {
        label: {
            "support": support[c],
            "recall": hits[c] / support[c] if support[c] else None,
            "precision": hits[c] / told[c] if told[c] else None,
        }
        for c, label in enumerate(made.classes)
    }


def decisions(made: Predictions) -> np.ndarray:
    """Booleans (n, C): the best class, or the three best; the earlier of equal ones."""
    kept = 1 if made.task == "single" else TOP
    places = np.arange(made.scores.shape[1])
    decided = np.zeros(made.scores.shape, bool)
    for row, scores in enumerate(made.scores):
        decided[row, np.lexsort((places, -scores))[:kept]] = True
    return decided


def are_probabilities(made: Predictions) -> bool:
    inside = made.scores.min() >= 0 and made.scores.max() <= 1
    return bool(inside and (made.task == "multi" or np.allclose(made.scores.sum(1), 1, atol=1e-3)))


def judged(made: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and rightness of what is judged: the decision, or every label of every sample."""
    if made.task == "multi":
        return made.scores.ravel(), made.truth.ravel()
    chosen = made.scores.argmax(1)
    rows = np.arange(len(chosen))
    return made.scores[rows, chosen], made.truth[rows, chosen]


def expected_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error over bins ((b - 1) / 15, b / 15]."""
    bins = np.clip(np.searchsorted(np.arange(BINS + 1) / BINS, confidence) - 1, 0, BINS - 1)
    gaps = [abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in range(BINS)]
    return float(sum(gaps) / len(confidence))


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


@artifacts.remembered
def of_test(file: Path) -> dict[str, float | None]:
    """The scalar metrics of a predictions.parquet's test samples."""
    return scalars(artifacts.predictions(file).of("test"))


CHECKS = [metrics_of_runs]
