"""How far an image is from those that a model learnt from, by the features of its image tower."""

from typing import NamedTuple

import numpy as np


class Familiar(NamedTuple):
    """Training features in short: the mean (d,) and the inverse covariance (d, d).

    `distance` is Mahalanobis's, divided by the root of d: about 1 for training images. Lee et al.
    2018 take one mean for each class; ours needs no labels, so that it serves several labels too.
    """

    mean: np.ndarray
    precision: np.ndarray

    def distance(self, features: np.ndarray) -> np.ndarray:
        """How far (n,) each of the features (n, d) is."""
        apart = features - self.mean
        squares = np.einsum("nd,de,ne->n", apart, self.precision, apart, optimize=True)
        return np.sqrt(np.maximum(squares, 0) / len(self.mean))


def fitted(features: np.ndarray) -> Familiar:
    """Of training features (n, d), maybe n < d: the covariance is Ledoit and Wolf's (2004)."""
    from sklearn.covariance import LedoitWolf

    if len(features) < 2:
        raise ValueError("one image has no spread")
    estimate = LedoitWolf().fit(features.astype(np.float64))
    return Familiar(estimate.location_, estimate.precision_)
