"""Bootstrap over groups: exact weights, paired resamples, honest silence where it says nothing."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from histopair import bootstrap, metrics


def case(seed=0, n=60, classes=4, groups=8, task="single"):
    random = np.random.default_rng(seed)
    truth = np.zeros((n, classes), bool)
    truth[np.arange(n), random.integers(0, classes, n)] = True
    if task == "multi":
        truth |= random.random((n, classes)) < 0.3
    scores = np.round(random.random((n, classes)) + 0.3 * truth, 1)  # coarse, so that ties occur
    return truth, scores, np.sort(np.r_[np.arange(groups), random.integers(0, groups, n - groups)])


@pytest.mark.parametrize("task", ["single", "multi"])
def test_drawing_every_group_once_gives_the_metric_itself(task):
    truth, scores, groups = case(task=task, classes=5)
    found = bootstrap.replicate(truth, scores, groups, np.ones((1, 8), int), task)
    expected = metrics.metrics(truth, scores, task, list("abcde"))
    assert found.keys() == set(metrics.names(task))
    for name, values in found.items():
        assert values == pytest.approx([expected[name]]), name


@pytest.mark.parametrize("task", ["single", "multi"])
def test_a_resample_equals_the_metric_of_the_repeated_samples(task):
    truth, scores, groups = case(seed=1, classes=5, task=task)
    draws = bootstrap.resamples(groups, replicates=6)
    found = bootstrap.replicate(truth, scores, groups, draws, task)
    for i, draw in enumerate(draws):
        rows = np.repeat(np.arange(len(truth)), draw[groups])
        expected = metrics.metrics(truth[rows], scores[rows], task, list("abcde"))
        for name, values in found.items():
            assert values[i] == pytest.approx(expected[name]), name


def test_weighted_auc_agrees_with_scikit_learn_on_tied_scores():
    truth, scores, groups = case(seed=2)
    draws = bootstrap.resamples(groups, replicates=20)
    found = bootstrap.weighted_auc(truth[:, 0], scores[:, 0], groups, draws)
    for auc, draw in zip(found, draws, strict=True):
        expected = roc_auc_score(truth[:, 0], scores[:, 0], sample_weight=draw[groups])
        assert auc == pytest.approx(expected)


def test_weighted_auc_is_the_same_however_few_replicates_fit_in_memory(monkeypatch):
    truth, scores, groups = case(seed=3)
    draws = bootstrap.resamples(groups, replicates=10)
    whole = bootstrap.weighted_auc(truth[:, 1], scores[:, 1], groups, draws)
    monkeypatch.setattr(bootstrap, "CELLS", 3 * len(truth))
    assert np.array_equal(whole, bootstrap.weighted_auc(truth[:, 1], scores[:, 1], groups, draws))


def test_a_resample_without_positives_has_no_auc():
    truth, scores = np.array([True, False]), np.array([1.0, 0.0])
    draws = np.array([[1, 1], [0, 2], [2, 0]])
    found = bootstrap.weighted_auc(truth, scores, np.array([0, 1]), draws)
    assert found[0] == 1 and np.isnan(found[1:]).all()


def test_resamples_repeat_and_draw_as_many_groups_as_there_are():
    groups = np.array([0, 0, 1, 2])
    draws = bootstrap.resamples(groups, replicates=50)
    assert np.array_equal(draws, bootstrap.resamples(groups, replicates=50))
    assert draws.shape == (50, 3) and (draws.sum(1) == 3).all()


def test_one_group_gives_no_interval():
    assert bootstrap.interval(np.full(1000, 0.9), groups=1) == (None, None)


def test_a_metric_that_mostly_does_not_exist_gives_no_interval():
    values = np.full(1000, np.nan)
    values[:400] = np.linspace(0, 1, 400)
    assert bootstrap.interval(values, groups=5) == (None, None)


def test_an_interval_holds_the_middle_95_percent():
    low, high = bootstrap.interval(np.linspace(0, 1, 1001), groups=5)
    assert (low, high) == (pytest.approx(0.025), pytest.approx(0.975))


def test_intervals_of_grouped_samples_are_wider_than_those_that_ignore_groups():
    random = np.random.default_rng(4)
    groups = np.repeat(np.arange(10), 30)
    right = np.repeat(random.random(10) < 0.6, 30)  # a patient is right or wrong as a whole
    truth = np.zeros((300, 2), bool)
    truth[:, 0] = True
    scores = np.c_[right, ~right].astype(float)
    single = np.arange(300)
    grouped = bootstrap.replicate(truth, scores, groups, bootstrap.resamples(groups), "single")
    alone = bootstrap.replicate(truth, scores, single, bootstrap.resamples(single), "single")
    assert np.std(grouped["accuracy"]) > 3 * np.std(alone["accuracy"])
