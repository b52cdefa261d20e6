"""Metrics of metrics.json, anew from predictions.parquet by scikit-learn."""

import warnings
from pathlib import Path

import numpy as np
from sklearn import metrics as sk

from recompute import artifacts, concordance
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
            for split, stated in splits.items():
                _compare(tally, file, split, stated)
    return tally


def _compare(tally: Tally, file: Path, split: str, stated: dict) -> None:
    whole, by_class = _of_file(file.with_name("predictions.parquet"), split)
    for name, value in whole.items():
        tally.equal(file, f"{split} {name}", stated[name], value)
    for label, values in by_class.items():
        for name, value in values.items():
            tally.equal(file, f"{split} {label} {name}", stated["per_class"][label][name], value)


@artifacts.of_one_file
def _of_file(file: Path, split: str) -> tuple[dict, dict]:
    """All metrics of one split of a run's predictions, and those of each class."""
    made = artifacts.predictions(file).of(split)
    if made.task == "survival":
        return scalars(made) | {"n": len(made.truth), "events": made.truth[:, 1].sum()}, {}
    return scalars(made) | numbers(made), per_class(made)


def scalars(made: Predictions) -> dict[str, float | None]:
    """All scalar metrics of one split by name; None for one that does not exist."""
    if made.task == "survival":
        return concordance.scalars(made)
    truth, scores, decided = made.truth, made.scores, decisions(made)
    ranked = [column for column in range(truth.shape[1]) if truth[:, column].any()]
    split = [column for column in ranked if not truth[:, column].all()]
    found = {
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
        "top3_f1_macro": _mean(list(_f1(truth, decided)[truth.any(0)])),
        "hamming": sk.hamming_loss(truth, decided),
    } | {
        f"label_accuracy_{k}": (hits >= k).mean() if k <= top(truth.shape[1]) else None
        for k in (1, 2, 3)
    }


def _f1(truth: np.ndarray, decided: np.ndarray) -> np.ndarray:
    return sk.f1_score(truth, decided, average=None, zero_division=0)


def numbers(made: Predictions) -> dict[str, float]:
    """How many samples and classes the metrics are of, and how far label accuracy can reach."""
    truth = made.truth
    found = {
        "n": len(truth),
        "classes_present": truth.any(0).sum(),
        "macro_auc_classes": (truth.any(0) & ~truth.all(0)).sum(),
        "macro_ap_classes": truth.any(0).sum(),
    }
    if made.task == "single":
        return found
    ceilings = {f"label_ceiling_{k}": (truth.sum(1) >= k).mean() for k in (1, 2, 3)}
    return found | ceilings | {"top": top(truth.shape[1])}


def per_class(made: Predictions) -> dict[str, dict]:
    """Metrics of each class against the rest; None for what does not exist."""
    decided = decisions(made)
    columns = (made.truth.T, decided.T, made.scores.T)
    return {
        label: _of_class(*column) for label, *column in zip(made.classes, *columns, strict=True)
    }


def _of_class(truth: np.ndarray, decided: np.ndarray, scores: np.ndarray) -> dict:
    support, told, hits = truth.sum(), decided.sum(), (truth & decided).sum()
    return {
        "support": support,
        "recall": hits / support if support else None,
        "precision": hits / told if told else None,
        "f1": 2 * hits / (support + told) if support + told else None,
        "auc": sk.roc_auc_score(truth, scores) if 0 < support < len(truth) else None,
        "average_precision": sk.average_precision_score(truth, scores) if support else None,
    }


def top(classes: int) -> int:
    """How many classes a multi-label decision names: all of three would be right for any model."""
    return max(1, min(TOP, classes - 1))


def decisions(made: Predictions) -> np.ndarray:
    """Booleans (n, C): the best class, or the three best; the earlier of equal ones."""
    kept = 1 if made.task == "single" else top(len(made.classes))
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


@artifacts.of_one_file
def of_test(file: Path) -> dict[str, float | None]:
    """The scalar metrics of a predictions.parquet's test samples."""
    return scalars(artifacts.predictions(file).of("test"))


CHECKS = [metrics_of_runs]
