"""The metrics of metrics.json, recomputed from predictions.parquet by scikit-learn."""

import warnings
from pathlib import Path

import numpy as np
from sklearn import metrics as sk

from recompute import artifacts, concordance
from recompute.artifacts import Predictions
from recompute.tally import Tally

BINS = 15
NEAR_ONE = 1023 / 1024  # beyond, float32 makes one share of many
TOP = 3
# They count decisions. Without ties of probabilities, the order of summing does not matter.
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
    whole, by_class = of_split(file.with_name("predictions.parquet"), split)
    for name, value in whole.items():
        tally.equal(file, f"{split} {name}", stated[name], value)
    for label, values in by_class.items():
        for name, value in values.items():
            tally.equal(file, f"{split} {label} {name}", stated["per_class"][label][name], value)


@artifacts.of_one_file
def of_split(file: Path, split: str) -> tuple[dict, dict]:
    """All metrics of one split of a run's predictions, and those of each class."""
    run = artifacts.predictions(file).of(split)
    if run.task == "survival":
        return scalars(run) | {"n": len(run.truth), "events": run.truth[:, 1].sum()}, {}
    return scalars(run) | numbers(run), per_class(run)


def scalars(run: Predictions) -> dict[str, float | None]:
    """All scalar metrics of one split by name; None for one that does not exist."""
    if run.task == "survival":
        return concordance.scalars(run)
    truth, scores, decided = run.truth, order(run), decisions(run)
    ranked = [column for column in range(truth.shape[1]) if truth[:, column].any()]
    split = [column for column in ranked if not truth[:, column].all()]
    metrics = {
        "macro_auc": _mean([sk.roc_auc_score(truth[:, c], scores[:, c]) for c in split]),
        "macro_ap": _mean([sk.average_precision_score(truth[:, c], scores[:, c]) for c in ranked]),
        "ece": expected_error(*judged(run)) if are_probabilities(run) else None,
    }
    return metrics | (_single if run.task == "single" else _multi)(truth, scores, decided)


def _single(truth: np.ndarray, scores: np.ndarray, decided: np.ndarray) -> dict:
    true_class, decided_class = truth.argmax(1), decided.argmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes that are decided and never true
        return {
            "accuracy": sk.accuracy_score(true_class, decided_class),
            "balanced_accuracy": sk.balanced_accuracy_score(true_class, decided_class),
            "macro_f1": sk.f1_score(
                true_class, decided_class, labels=np.unique(true_class), average="macro"
            ),
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


def numbers(run: Predictions) -> dict[str, float]:
    """How many samples and classes the metrics cover, and how high label accuracy can be."""
    truth = run.truth
    counts = {
        "n": len(truth),
        "classes_present": truth.any(0).sum(),
        "macro_auc_classes": (truth.any(0) & ~truth.all(0)).sum(),
        "macro_ap_classes": truth.any(0).sum(),
    }
    if run.task == "single":
        return counts
    ceilings = {f"label_ceiling_{k}": (truth.sum(1) >= k).mean() for k in (1, 2, 3)}
    return counts | ceilings | {"top": top(truth.shape[1])}


def per_class(run: Predictions) -> dict[str, dict]:
    """Metrics of each class against the rest; None for one that does not exist."""
    decided = decisions(run)
    columns = (run.truth.T, decided.T, order(run).T)
    return {label: _of_class(*column) for label, *column in zip(run.classes, *columns, strict=True)}


def _of_class(truth: np.ndarray, decided: np.ndarray, scores: np.ndarray) -> dict:
    support, n_decided, hits = truth.sum(), decided.sum(), (truth & decided).sum()
    return {
        "support": support,
        "recall": hits / support if support else None,
        "precision": hits / n_decided if n_decided else None,
        "f1": 2 * hits / (support + n_decided) if support + n_decided else None,
        "auc": sk.roc_auc_score(truth, scores) if 0 < support < len(truth) else None,
        "average_precision": sk.average_precision_score(truth, scores) if support else None,
    }


def top(classes: int) -> int:
    """How many classes a multi-label decision names: with all of them, any model would be right."""
    return max(1, min(TOP, classes - 1))


def decisions(run: Predictions) -> np.ndarray:
    """Booleans (n, C): the best class, or the three best; the earlier of equal ones."""
    kept = 1 if run.task == "single" else top(len(run.classes))
    places = np.arange(run.scores.shape[1])
    decided = np.zeros(run.scores.shape, bool)
    for row, scores in enumerate(run.scores):
        decided[row, np.lexsort((places, -scores))[:kept]] = True
    return decided


def are_probabilities(run: Predictions) -> bool:
    inside = run.scores.min() >= 0 and run.scores.max() <= 1
    return bool(inside and (run.task == "multi" or np.allclose(run.scores.sum(1), 1, atol=1e-3)))


def order(run: Predictions) -> np.ndarray:
    """What ranks samples (n, C): of classes that exclude each other, a share near 1 by the rest.

    Such a share is stored as 1 where the rest, which is small, still has its digits.
    """
    ranks = run.scores.copy()
    if run.task != "single" or not are_probabilities(run):
        return ranks
    for column, shares in enumerate(run.scores.T):
        rest = np.delete(run.scores, column, axis=1).sum(1)
        logarithm = np.log(np.maximum(rest, np.finfo(np.float32).smallest_subnormal))
        ranks[:, column] = np.where(shares > NEAR_ONE, 1 - logarithm, shares)
    return ranks


def judged(run: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and correctness of the decision, or of every label of every sample."""
    if run.task == "multi":
        return run.scores.ravel(), run.truth.ravel()
    chosen = run.scores.argmax(1)
    rows = np.arange(len(chosen))
    return run.scores[rows, chosen], run.truth[rows, chosen]


def expected_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error over bins ((b - 1) / 15, b / 15]."""
    bins = np.clip(np.searchsorted(np.arange(BINS + 1) / BINS, confidence) - 1, 0, BINS - 1)
    gaps = [abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in range(BINS)]
    return float(sum(gaps) / len(confidence))


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def of_test(file: Path) -> dict[str, float | None]:
    """The scalar metrics of a predictions.parquet's test samples."""
    return of_split(file, "test")[0]


CHECKS = [metrics_of_runs]
