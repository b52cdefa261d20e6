"""Whether probabilities mean what they say, and temperature scaling (Guo et al. 2017).

The decisions whose probability is judged: for single-label tasks the class chosen for each sample,
for multi-label tasks every label of every sample, pooled.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax

from histopair.evaluation.ranking import ratio

BINS = 15
TEMPERATURES = (0.01, 100.0)
# Below: the smallest float32; above: the largest below 1. Scores are stored as float32.
LOWEST, HIGHEST = float(np.finfo(np.float32).tiny), 1 - 2.0**-24


def are_probabilities(scores: np.ndarray, task: str) -> bool:
    """All within 0 and 1; for a single-label task each row sums to 1."""
    if scores.min() < 0 or scores.max() > 1:
        return False
    return task == "multi" or bool(np.allclose(scores.sum(1), 1, atol=1e-3))


def reliability(truth: np.ndarray, scores: np.ndarray, task: str) -> dict[str, list]:
    """Decisions by confidence, in BINS bins of equal width, ((b - 1) / BINS, b / BINS].

    truth: booleans (n, C); scores: probabilities (n, C). Returns lists of length BINS: `count`,
    `confidence` (mean probability) and `observed` (share that is true), None in an empty bin.
    """
    confidence, right = _decisions(truth, scores, task)
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    means = {
        "confidence": ratio(np.bincount(place, confidence, BINS), count),
        "observed": ratio(np.bincount(place, right, BINS), count),
    }
    return {"count": count.tolist()} | {name: listed(values) for name, values in means.items()}


def expected_error(bins: dict[str, list]) -> float:
    """Expected calibration error of `reliability`'s bins (Guo et al. 2017, equation 3)."""
    count = np.array(bins["count"])
    full = count > 0
    gap = np.array(bins["confidence"], float) - np.array(bins["observed"], float)
    return float((count[full] * np.abs(gap[full])).sum() / count.sum())


def fit_temperature(truth: np.ndarray, scores: np.ndarray, task: str) -> float:
    """The temperature in TEMPERATURES of least `negative_log_likelihood`; 1 where none is better.

    truth: booleans (n, C); scores: probabilities (n, C), both of the validation split.
    """

    def loss(logarithm: float) -> float:
        return negative_log_likelihood(truth, scores, task, float(np.exp(logarithm)))

    bounds = tuple(np.log(TEMPERATURES))
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(best.x)) if best.fun < loss(0.0) - 1e-9 else 1.0


def at_bound(temperature: float) -> bool:
    """Whether a fitted temperature lies at an end of TEMPERATURES: it is not the likeliest one.

    At the upper end all probabilities are nearly alike, at the lower nearly 0 or 1: if the scores
    order the validation split no better than chance, or perfectly, the likelihood has no optimum in
    between.
    """
    low, high = TEMPERATURES
    return not low * 1.001 < temperature < high / 1.001


def negative_log_likelihood(
    truth: np.ndarray, scores: np.ndarray, task: str, temperature: float = 1.0
) -> float:
    """Mean over decisions of -log of the probability, at this temperature, given to what is true.

    For a multi-label task the mean over all n C labels of the binary cross-entropy.
    """
    scaled = logits(scores, task) / temperature
    if task == "single":
        return float(-log_softmax(scaled, axis=1)[truth].mean())
    return float(np.logaddexp(0, np.where(truth, -scaled, scaled)).mean())


def scale(scores: np.ndarray, task: str, temperature: float) -> np.ndarray:
    """The probabilities (n, C) at another temperature: softmax or sigmoid of logits divided by it.

    The order of the classes of a sample stays as it was.
    """
    scaled = logits(scores, task) / temperature
    return softmax(scaled, axis=1) if task == "single" else expit(scaled)


def logits(scores: np.ndarray, task: str) -> np.ndarray:
    """Logits that give these probabilities, finite also for those of 0 and 1."""
    kept = np.clip(np.asarray(scores, float), LOWEST, HIGHEST)
    return np.log(kept) if task == "single" else np.log(kept) - np.log1p(-kept)


def judge(splits: dict[str, tuple[np.ndarray, np.ndarray]], task: str) -> dict | None:
    """Temperature fitted on "val", and the other splits' calibration before and after.

    splits: truth and scores by split. None without validation samples, or where scores are not
    probabilities.
    """
    usable = all(are_probabilities(scores, task) for _, scores in splits.values())
    if "val" not in splits or not usable:
        return None
    temperature = fit_temperature(*splits["val"], task)
    found = {
        split: {
            "before": _judged(truth, scores, task, 1.0),
            "after": _judged(truth, scores, task, temperature),
        }
        for split, (truth, scores) in splits.items()
    }
    return {"temperature": temperature, "fitted_on": "val", "splits": found}


def _judged(truth: np.ndarray, scores: np.ndarray, task: str, temperature: float) -> dict:
    scaled = scores if temperature == 1 else scale(scores, task, temperature)
    bins = reliability(truth, scaled, task)
    loss = negative_log_likelihood(truth, scores, task, temperature)
    return {"ece": expected_error(bins), "nll": loss, "bins": bins}


def _decisions(truth: np.ndarray, scores: np.ndarray, task: str) -> tuple[np.ndarray, np.ndarray]:
    if task == "multi":
        return scores.ravel().astype(float), truth.ravel()
    chosen = scores.argmax(1)[:, None]
    picked = [np.take_along_axis(of, chosen, axis=1)[:, 0] for of in (scores, truth)]
    return picked[0].astype(float), picked[1]


def listed(values: np.ndarray) -> list[float | None]:
    """As JSON has it: None for NaN."""
    return [float(value) if np.isfinite(value) else None for value in values]
