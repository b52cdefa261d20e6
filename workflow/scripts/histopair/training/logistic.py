"""Logistic regression by scikit-learn, as a linear layer on raw features."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from histopair.errors import InputError
from histopair.evaluation import solver
from histopair.training.heads import Last

STRENGTHS = tuple(10.0**power for power in range(-6, 5))  # scikit-learn's C: high is a weak penalty
# Of `chosen.stage`; after `worse` strengths no weaker penalty is tried, as these take most time.
SEARCH = {"edges": {"strength": (STRENGTHS[0], STRENGTHS[-1])}, "worse": 3, "plain": True}


def candidates(run, features: Tensor) -> Iterator[tuple[nn.Linear, dict]]:
    """For each of STRENGTHS the head of a run's labelled train samples, as `chosen.stage` takes it.

    features: (n, d), of all samples. Raises InputError if all samples have the same classes.
    """
    train = run.rows("train")
    truth = run.indicator[train].numpy()
    if not (truth.any(0) & ~truth.all(0)).any():
        problem = "all samples of its train split have the same classes"
        raise InputError(run.artifacts["labels"], problem, "Choose another split")
    inputs = features[train].double().cpu().numpy()
    heads = path(inputs, truth, run.task.EXCLUSIVE, STRENGTHS)
    for strength, (head, converged) in zip(STRENGTHS, heads, strict=True):
        yield head, {"strength": strength, "converged": converged}


def path(
    features: np.ndarray, truth: np.ndarray, exclusive: bool, strengths: Sequence[float]
) -> Iterator[tuple[nn.Linear, bool]]:
    """The optimum for each of scikit-learn's C in `strengths`, and whether the solver reached it.

    features: (n, d), standardised for the fit; truth: booleans (n, C). Exclusive classes share
    one softmax, others have a logistic regression each. A layer takes raw features and gives
    logits (n, C). Each fit starts from the one before.
    """
    scaler = StandardScaler().fit(features)
    standard = scaler.transform(features)
    targets = [truth.argmax(1)] if exclusive else list(truth.astype(int).T)
    models = [solver.model() for _ in targets]
    logits = _of_classes if exclusive else _of_each
    for strength in strengths:
        reached = [
            solver.fit(model.set_params(C=strength), standard, target)
            for model, target in zip(models, targets, strict=True)
        ]
        yield _layer(*logits(models, truth), scaler), all(reached)


def _of_classes(models: list[LogisticRegression], truth: np.ndarray) -> tuple:
    """Coefficients (C, d) and shifts (C,) of a softmax.

    A class without samples counts as n times rarer than the rarest.
    """
    model = models[0]
    coefficients, shifts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # one logit, of the second class against the first
        halves = coefficients / 2, shifts / 2
        coefficients, shifts = (np.concatenate([-half, half]) for half in halves)
    all_coefficients = np.zeros((truth.shape[1], coefficients.shape[1]))
    all_shifts = np.full(truth.shape[1], shifts.min() - np.log(len(truth)))
    all_coefficients[model.classes_], all_shifts[model.classes_] = coefficients, shifts
    return all_coefficients, all_shifts


def _of_each(models: list[LogisticRegression], truth: np.ndarray) -> tuple:
    """Coefficients (C, d) and shifts (C,) of one sigmoid per class.

    A class that all samples have, or none, gets its log odds as if half a sample differed.
    """
    shares = (truth.sum(0) + 0.5) / (len(truth) + 1)
    width = next(model.coef_.shape[1] for model in models if hasattr(model, "coef_"))
    coefficients, shifts = np.zeros((len(models), width)), np.log(shares / (1 - shares))
    for row, model in enumerate(models):
        if hasattr(model, "coef_"):
            coefficients[row], shifts[row] = model.coef_[0], model.intercept_[0]
    return coefficients, shifts


def _layer(coefficients: np.ndarray, shifts: np.ndarray, scaler: StandardScaler) -> nn.Linear:
    """The layer that does to raw features what the coefficients do to standardised ones."""
    layer = Last(coefficients.shape[1], len(coefficients))
    weight = coefficients / scaler.scale_
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(shifts - weight @ scaler.mean_))
    return layer
