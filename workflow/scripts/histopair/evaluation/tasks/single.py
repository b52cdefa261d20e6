"""One label of several classes: the decision is the class of the highest score."""

import numpy as np
from scipy.special import log_softmax, softmax

from histopair.evaluation import ranking
from histopair.evaluation.tasks import labelled


class Single(labelled.Labels):
    name = "single"
    most_labels = 1

    def decide(self, scores: np.ndarray) -> np.ndarray:
        return labelled.highest(scores, 1)

    def are_probabilities(self, scores: np.ndarray) -> bool:
        """All within 0 and 1, and each row sums to 1."""
        within = scores.min() >= 0 and scores.max() <= 1
        return bool(within and np.allclose(scores.sum(1), 1, atol=1e-3))

    def order(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities `untied`; other scores as they are."""
        return ranking.untied(scores) if self.are_probabilities(scores) else scores

    def confidences(self, truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the class chosen for each sample, the probability and whether it is true: two (n,)."""
        chosen = scores.argmax(1)[:, None]
        confidence, right = (np.take_along_axis(of, chosen, 1)[:, 0] for of in (scores, truth))
        return confidence.astype(float), right

    def logits(self, probabilities: np.ndarray) -> np.ndarray:
        return np.log(probabilities)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        return softmax(logits, axis=1)

    def negative_log_likelihood(self, truth: np.ndarray, logits: np.ndarray) -> float:
        return float(-log_softmax(logits, axis=1)[truth].mean())
