"""How a logistic regression reaches its optimum: for probes that train, and the gate."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

STEPS, MOST_STEPS = 200, 10_000  # of L-BFGS, before Newton's steps take over or without them
LARGEST = 2_000  # coefficients of which Newton's method keeps a square matrix
TOLERANCE = 1e-6  # of the gradient; with scikit-learn's own, probabilities are .0006 off


def model() -> LogisticRegression:
    """One that starts each fit from the one before."""
    return LogisticRegression(tol=TOLERANCE, warm_start=True)


def fit(model: LogisticRegression, features: np.ndarray, target: np.ndarray) -> bool:
    """Fit a model if there are two classes to distinguish; whether its solver converged.

    L-BFGS takes thousands of steps where the penalty is weak and features are alike: Newton's few.
    """
    classes = len(np.unique(target))
    if classes == 1:
        return True
    newton = features.shape[1] * (classes if classes > 2 else 1) <= LARGEST
    last = ("newton-cholesky", STEPS) if newton else ("lbfgs", MOST_STEPS)
    for name, steps in (("lbfgs", STEPS), last):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # n_iter_ says the same
            model.set_params(solver=name, max_iter=steps).fit(features, target)
        if (model.n_iter_ < steps).all():
            return True
    return False
