"""AUC and average precision: scikit-learn's on weighted samples, defined where there is nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from histopair.evaluation import ranking


def case(seed, n=50, groups=8, draws=12):
    random = np.random.default_rng(seed)
    truth = random.random(n) < 0.3
    truth[:2] = [True, False]
    scores = np.round(random.random(n) + 0.3 * truth, 1)  # coarse, so that ties occur
    drawn = random.integers(1, 4, (draws, groups))  # no group is left out: both sides stay
    return truth, scores, random.integers(0, groups, n), drawn


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_weighted_samples_agree_with_scikit_learn(seed):
    truth, scores, groups, draws = case(seed)
    auc, precision = ranking.weighted(truth, scores, groups, draws)
    for i, draw in enumerate(draws):
        weights = draw[groups]
        assert auc[i] == pytest.approx(roc_auc_score(truth, scores, sample_weight=weights))
        expected = average_precision_score(truth, scores, sample_weight=weights)
        assert precision[i] == pytest.approx(expected)


def test_however_few_resamples_fit_in_memory_the_result_is_the_same(monkeypatch):
    given_case = case(3)
    whole = ranking.weighted(*given_case)
    monkeypatch.setattr(ranking, "CELLS", 3 * 50)
    assert np.array_equal(whole, ranking.weighted(*given_case))


def test_a_resample_without_positives_has_neither_and_one_of_positives_alone_has_precision_one():
    truth, scores = np.array([True, False]), np.array([1.0, 0.0])
    draws = np.array([[1, 1], [0, 2], [2, 0]])
    auc, precision = ranking.weighted(truth, scores, np.array([0, 1]), draws)
    assert auc[0] == 1 and np.isnan(auc[1:]).all()
    assert precision[[0, 2]].tolist() == [1, 1] and np.isnan(precision[1])


def test_a_class_without_positives_has_neither():
    truth = np.array([[True, False], [False, False]])
    auc, precision = ranking.by_class(truth, np.array([[0.2, 0.5], [0.8, 0.5]]))
    assert auc[0] == 0 and precision[0] == pytest.approx(0.5)
    assert np.isnan([auc[1], precision[1]]).all()
