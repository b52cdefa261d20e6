"""Sets of findings that hold the truth as often as stated (Angelopoulos and Bates 2021).

A finding is in the set if its probability is at least a threshold, which the validation split
decides. This promises something about images like those of validation, on average over them, and
nothing about others.
"""

import math

import numpy as np

METHODS = {"single": "split conformal", "multi": "conformal risk control"}


def threshold(truth: np.ndarray, probabilities: np.ndarray, task: str, coverage: float) -> float:
    """The probability that a finding needs. truth: booleans (n, C); probabilities (n, C).

    "single": the set holds the class of at least the share `coverage` of new images. "multi": it
    holds on average at least that share of an image's findings.
    """
    of_task = {"single": split_conformal, "multi": risk_control}[task]
    return of_task(np.asarray(truth, bool), np.asarray(probabilities, float), coverage)


def split_conformal(truth: np.ndarray, probabilities: np.ndarray, coverage: float) -> float:
    """1 - q, q the ceil((n + 1) coverage)-th smallest score 1 - p of the true class; 0 beyond n.

    Angelopoulos and Bates 2021, section 1.1; the score is Sadinle's (2019), whose sets are the
    smallest on average. A set may be empty: then no class is likely enough.
    """
    likely = np.sort(probabilities[truth])[::-1]
    rank = math.ceil((len(likely) + 1) * coverage - 1e-9)
    return float(likely[rank - 1]) if rank <= len(likely) else 0.0


def risk_control(truth: np.ndarray, probabilities: np.ndarray, coverage: float) -> float:
    """The largest threshold t at which (n R(t) + 1) / (n + 1) <= 1 - coverage, 0 if there is none.

    R is the mean over images of the share of their findings whose probability is below t; an image
    without findings misses none. Angelopoulos et al., Conformal Risk Control, 2022, equation 4.
    """
    n, per_image = len(truth), truth.sum(1)
    rows, columns = np.nonzero(truth)
    order = np.argsort(probabilities[rows, columns], kind="stable")
    values = probabilities[rows, columns][order]
    missed = np.concatenate([[0.0], np.cumsum(1 / per_image[rows][order])])
    # At threshold values[i] all findings before the first of that value are missed.
    risks = missed[np.searchsorted(values, values, side="left")] / n
    allowed = (n * risks + 1) / (n + 1) <= 1 - coverage + 1e-9
    return float(values[allowed].max()) if allowed.any() else 0.0


def sets(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Booleans (n, C): which findings are in each image's set."""
    return probabilities >= threshold


def covered(truth: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The share of each image's findings that its set holds (n,); 1 for one without findings."""
    count = truth.sum(1)
    return np.where(count == 0, 1.0, (truth & chosen).sum(1) / np.maximum(count, 1))
