"""The linear probe agrees with scikit-learn, and reaches the optimum."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histopair.evaluation import solver
from histopair.training import logistic

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(3, [[1.0, 5.0, 0.1, 20.0]], (200, 4))
STRENGTHS = (0.01, 1.0)


def drawn(classes):
    """Labels that depend on the features, with noise."""
    directions = RNG.normal(size=(4, classes))
    logits = StandardScaler().fit_transform(FEATURES) @ directions
    return (logits + RNG.gumbel(size=logits.shape)).argmax(1)


def probabilities(layer, features, task="single"):
    logits = layer.double()(torch.from_numpy(features))
    return (logits.softmax(1) if task == "single" else logits.sigmoid()).detach().numpy()


@pytest.mark.parametrize("classes", [2, 3])
def test_single_labels_agree_with_scikit_learn(classes):
    labels = drawn(classes)
    found = list(logistic.path(FEATURES, np.eye(classes, dtype=bool)[labels], True, STRENGTHS))
    for strength, (layer, converged) in zip(STRENGTHS, found, strict=True):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, tol=1e-8))
        expected = model.fit(FEATURES, labels).predict_proba(FEATURES)
        assert converged
        np.testing.assert_allclose(probabilities(layer, FEATURES), expected, atol=1e-5)


def test_several_labels_are_a_regression_each():
    truth = np.stack([drawn(2), drawn(2)], axis=1).astype(bool)
    [(layer, _)] = logistic.path(FEATURES, truth, False, [1.0])
    for column in range(2):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, tol=1e-8))
        expected = model.fit(FEATURES, truth[:, column]).predict_proba(FEATURES)[:, 1]
        found = probabilities(layer, FEATURES, "multi")[:, column]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_class_without_samples_is_rarer_than_one_sample():
    truth = np.eye(4, dtype=bool)[drawn(3)]
    [(layer, _)] = logistic.path(FEATURES, truth, True, [1.0])
    assert probabilities(layer, FEATURES)[:, 3].mean() < 1 / 200


def test_a_label_that_none_has_or_all_have_keeps_its_odds():
    truth = np.stack([drawn(2), np.zeros(200), np.ones(200)], axis=1).astype(bool)
    [(layer, converged)] = logistic.path(FEATURES, truth, False, [1.0])
    found = probabilities(layer, FEATURES, "multi")
    np.testing.assert_allclose(found[:, 1], 0.5 / 201, rtol=1e-4)
    np.testing.assert_allclose(found[:, 2], 200.5 / 201, rtol=1e-4)
    assert converged


def test_a_solver_that_stops_early_says_so(monkeypatch):
    monkeypatch.setattr(solver, "STEPS", 1)
    labels = np.eye(3, dtype=bool)[drawn(3)]
    [(_, converged)] = logistic.path(FEATURES, labels, True, [100.0])
    assert not converged


@pytest.mark.parametrize("largest", [0, 2000])
def test_where_many_steps_are_needed_both_solvers_reach_one_optimum(largest, monkeypatch):
    """Features that are nearly alike and a weak penalty: L-BFGS alone needs hundreds of steps."""
    monkeypatch.setattr(solver, "LARGEST", largest)
    monkeypatch.setattr(solver, "STEPS", 20)
    rng = np.random.default_rng(0)
    common = rng.normal(size=(200, 1))
    features = common + 0.03 * rng.normal(size=(200, 6))
    labels = np.eye(3, dtype=bool)[drawn(3)]
    [(layer, converged)] = logistic.path(features, labels, True, [1e4])
    scaler = StandardScaler().fit(features)
    theirs = LogisticRegression(C=1e4, solver="newton-cg", tol=1e-10, max_iter=1000)
    theirs.fit(scaler.transform(features), labels.argmax(1))
    expected = theirs.predict_proba(scaler.transform(features))
    assert converged
    np.testing.assert_allclose(probabilities(layer, features), expected, atol=2e-3)


def test_the_penalty_is_of_standardised_features():
    labels = np.eye(2, dtype=bool)[drawn(2)]
    [(layer, _)] = logistic.path(FEATURES, labels, True, [0.1])
    [(scaled, _)] = logistic.path(FEATURES * 1000, labels, True, [0.1])
    expected = probabilities(layer, FEATURES)
    np.testing.assert_allclose(probabilities(scaled, FEATURES * 1000), expected, atol=1e-5)
