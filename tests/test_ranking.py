"""AUC and average precision: scikit-learn's on weighted samples, defined where there is nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.metrics import average_precision_score, roc_auc_score

from histopair.evaluation import ranking, tasks
from histopair.training import tasks as trained


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


def mean_of(metric, truth, scores):
    return np.mean([metric(truth[:, c], scores[:, c]) for c in range(truth.shape[1])])


@pytest.mark.parametrize("task", ["single", "multi"])
def test_probabilities_that_are_nearly_1_rank_as_their_logits_do(task):
    random = np.random.default_rng(1)
    truth = np.eye(3, dtype=bool)[random.integers(0, 3, 400)]
    logits = np.float32(random.uniform(0, 25, truth.shape) + 6 * truth)
    logits *= 2 if task == "single" else 1  # a class is sure if it is far above the others
    scores = trained.TASKS[task].scores(torch.from_numpy(logits)).numpy()
    others = np.stack([logsumexp(np.delete(logits, c, 1), axis=1) for c in range(3)], axis=1)
    expected = logits - others if task == "single" else logits
    found = tasks.of(task).judge(truth, scores, list("abc"))
    for name, metric in (("macro_auc", roc_auc_score), ("macro_ap", average_precision_score)):
        assert found[name] == pytest.approx(mean_of(metric, truth, expected), abs=1e-5)
        assert abs(found[name] - mean_of(metric, truth, scores.astype("float32"))) > 1e-4
    samples, once = np.arange(len(truth)), np.ones((1, len(truth)), int)
    drawn = tasks.of(task).replicate(truth, scores, samples, once)
    assert drawn["macro_auc"][0] == pytest.approx(found["macro_auc"])


def test_equal_shares_of_votes_stay_ties_however_the_others_have_voted():
    """Shares of 7 votes: in float32 the others' sums differ where their true sums do not."""
    votes = np.array([[3, 4, 0], [3, 2, 2], [3, 1, 3]])
    shares = (votes / 7).astype("float32")
    assert len(set(shares[:, 1:].astype(float).sum(1))) > 1
    assert len(set(ranking.untied(shares)[:, 0])) == 1


def test_a_probability_of_which_nothing_is_left_to_others_is_the_highest_and_finite():
    found = ranking.untied(np.array([[1, 0, 0], [1, 1e-44, 0], [0.9995, 5e-4, 0]], "float32"))
    assert np.isfinite(found).all() and (np.diff(found[:, 0]) < 0).all()
    assert found[2, 0] > 1 > found[2, 1]
