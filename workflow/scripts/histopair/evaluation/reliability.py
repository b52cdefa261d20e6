"""Whether decisions come true as often as their probabilities say, in bins of confidence."""

import numpy as np

from histopair.evaluation.metrics import number
from histopair.evaluation.ranking import ratio

BINS = 15


def bins(confidence: np.ndarray, right: np.ndarray) -> dict[str, list]:
    """Decisions by confidence, in BINS bins of equal width, ((b - 1) / BINS, b / BINS].

    confidence: probabilities (m,); right: booleans (m,), which decisions are true. Returns lists of
    length BINS: `count`, `confidence` (mean probability) and `observed` (share that is true); the
    latter two are None in an empty bin.
    """
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    means = {
        "confidence": ratio(np.bincount(place, confidence, BINS), count),
        "observed": ratio(np.bincount(place, right, BINS), count),
    }
    listed = {name: [number(value) for value in values] for name, values in means.items()}
    return {"count": count.tolist()} | listed


def expected_error(binned: dict[str, list]) -> float:
    """Expected calibration error of `bins` (Guo et al. 2017, equation 3)."""
    count = np.array(binned["count"])
    full = count > 0
    gap = np.array(binned["confidence"], float) - np.array(binned["observed"], float)
    return float((count[full] * np.abs(gap[full])).sum() / count.sum())
