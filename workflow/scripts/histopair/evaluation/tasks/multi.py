"""Several labels a sample: the decision is the `metrics.top` classes of the highest scores."""

import math

import numpy as np
from scipy.special import expit

from histopair.evaluation import metrics
from histopair.evaluation.tasks import labelled


class Multi(labelled.Labels):
    name = "multi"
    most_labels = math.inf

    def decide(self, scores: np.ndarray) -> np.ndarray:
        return labelled.highest(scores, metrics.top(scores.shape[1]))

    def judge(self, truth: np.ndarray, scores: np.ndarray, classes: list[str]) -> dict:
        """As for any labels, and `top`, and label_ceiling_k: the share of samples with k labels.

        A sample with fewer than k labels is a miss at k, so no model can exceed the ceiling.
        """
        values = super().judge(truth, scores, classes)
        ks = range(1, metrics.TOP + 1)
        ceilings = {f"label_ceiling_{k}": float((truth.sum(1) >= k).mean()) for k in ks}
        return values | ceilings | {"top": metrics.top(truth.shape[1])}

    def are_probabilities(self, scores: np.ndarray) -> bool:
        """All within 0 and 1."""
        return bool(scores.min() >= 0 and scores.max() <= 1)

    def order(self, scores: np.ndarray) -> np.ndarray:
        """The scores as they are: stored as float64, they need no other classes to tell them."""
        return scores

    def confidences(self, truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of every label of every sample, the probability and whether it is true: two (n C,)."""
        return scores.ravel().astype(float), truth.ravel()

    def logits(self, probabilities: np.ndarray) -> np.ndarray:
        return np.log(probabilities) - np.log1p(-probabilities)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        return expit(logits)

    def negative_log_likelihood(self, truth: np.ndarray, logits: np.ndarray) -> float:
        """Mean over all n C labels of the binary cross-entropy."""
        return float(np.logaddexp(0, np.where(truth, -logits, logits)).mean())
