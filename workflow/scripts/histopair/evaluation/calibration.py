"""Whether probabilities mean what they say, and temperature scaling (Guo et al. 2017)."""

import numpy as np
from scipy.optimize import minimize_scalar

from histopair.evaluation import reliability
from histopair.evaluation.tasks.labelled import Labels

TEMPERATURES = (0.01, 100.0)
# Below: the smallest float32; above: the largest below 1. Scores may be float32.
LOWEST, HIGHEST = float(np.finfo(np.float32).tiny), 1 - 2.0**-24


def fit_temperature(truth: np.ndarray, scores: np.ndarray, task: Labels) -> float:
    """The temperature of lowest `negative_log_likelihood` within TEMPERATURES; 1 if none beats 1.

    truth: booleans (n, C); scores: probabilities (n, C), both of the validation split.
    """

    def loss(logarithm: float) -> float:
        return negative_log_likelihood(truth, scores, task, float(np.exp(logarithm)))

    bounds = tuple(np.log(TEMPERATURES))
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(best.x)) if best.fun < loss(0.0) - 1e-9 else 1.0


def at_bound(temperature: float) -> bool:
    """Whether a fitted temperature lies at an end of TEMPERATURES, so is not the likeliest one.

    At the upper end all probabilities are nearly alike, at the lower end nearly 0 or 1. If the
    scores order the validation split no better than chance, or perfectly, the likelihood has no
    optimum in between.
    """
    low, high = TEMPERATURES
    return not low * 1.001 < temperature < high / 1.001


def fits_at_bound(fitted: dict) -> bool:
    """Whether the temperature of a run, or of one of its folds, is `at_bound`."""
    return any(map(at_bound, fitted.get("by_fold", {"": fitted["temperature"]}).values()))


def temperatures(fitted: dict, fold: np.ndarray | None) -> float | np.ndarray:
    """What the logits of n samples are divided by: one for all, or (n, 1), that of each one's fold.

    fitted: as `judge` returns it. fold: (n,), None where no folds are joined. The samples of a fold
    without validation samples keep their logits.
    """
    if "by_fold" not in fitted:
        return fitted["temperature"]
    return np.array([[fitted["by_fold"].get(str(each), 1.0)] for each in fold])


def negative_log_likelihood(
    truth: np.ndarray, scores: np.ndarray, task: Labels, temperature: float | np.ndarray = 1.0
) -> float:
    """Mean over decisions of -log of the probability given to the truth."""
    return task.negative_log_likelihood(truth, _logits(scores, task) / temperature)


def scale(scores: np.ndarray, task: Labels, temperature: float | np.ndarray) -> np.ndarray:
    """The probabilities (n, C) at another temperature: their logits are divided by it.

    A sample's classes keep their order. temperature: one, or (n, 1).
    """
    return task.probabilities(_logits(scores, task) / temperature)


def judge(
    splits: dict[str, tuple[np.ndarray, np.ndarray]],
    task: Labels,
    folds: dict[str, np.ndarray] | None = None,
) -> dict | None:
    """The temperature fitted on "val", and each split's calibration before and after.

    splits: truth and scores by split. folds: by split the fold of each sample, where runs of folds
    are joined. Then each model has a temperature of its own validation samples (`by_fold`; the
    `temperature` is their mean): one for all would be fitted on what other folds test. None without
    validation samples, or if scores are not probabilities.
    """
    usable = all(task.are_probabilities(scores) for _, scores in splits.values())
    if "val" not in splits or not usable:
        return None
    folds = folds or {}
    fitted = _fitted(*splits["val"], task, folds.get("val")) | {"fitted_on": "val"}
    return fitted | {"splits": _by_split(splits, task, fitted, folds)}


def elsewhere(splits: dict[str, tuple[np.ndarray, np.ndarray]], task: Labels, fitted: dict) -> dict:
    """What `judge` returned for a run, with the calibration of these other splits in its place.

    splits: truth and scores of another dataset, by split. The validation split stays the run's.
    """
    figures = _by_split(splits, task, fitted, {})
    return fitted | {"splits": {"val": fitted["splits"]["val"]} | figures}


def _fitted(truth: np.ndarray, scores: np.ndarray, task: Labels, fold: np.ndarray | None) -> dict:
    if fold is None:
        return {"temperature": fit_temperature(truth, scores, task)}
    parts = {str(each): fold == each for each in np.unique(fold)}
    by_fold = {each: fit_temperature(truth[of], scores[of], task) for each, of in parts.items()}
    return {"temperature": float(np.mean(list(by_fold.values()))), "by_fold": by_fold}


def _by_split(splits: dict, task: Labels, fitted: dict, folds: dict) -> dict[str, dict]:
    """Each split's calibration, `before` and `after` scaling."""
    return {
        split: {
            when: _figures(truth, scores, task, t)
            for when, t in (("before", 1.0), ("after", temperatures(fitted, folds.get(split))))
        }
        for split, (truth, scores) in splits.items()
    }


def _figures(truth: np.ndarray, scores: np.ndarray, task: Labels, temperature) -> dict:
    scaled = scores if np.all(temperature == 1) else scale(scores, task, temperature)
    bins = reliability.bins(*task.confidences(truth, scaled))
    loss = negative_log_likelihood(truth, scores, task, temperature)
    return {"ece": reliability.expected_error(bins), "nll": loss, "bins": bins}


def _logits(scores: np.ndarray, task: Labels) -> np.ndarray:
    """The logits of these probabilities, finite even for 0 and 1."""
    return task.logits(np.clip(np.asarray(scores, float), LOWEST, HIGHEST))
