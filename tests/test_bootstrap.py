"""Bootstrap over groups: exact weights, paired resamples, honest silence where it says nothing."""

import numpy as np
import pytest

from histopair.evaluation import bootstrap, metrics, tasks
from histopair.evaluation.tasks import labelled


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
    found = tasks.of(task).replicate(truth, scores, groups, np.ones((1, 8), int))
    expected = tasks.of(task).judge(truth, scores, list("abcde"))
    assert found.keys() == set(metrics.names(task))
    for name in set(found) - {"ece"}:
        assert found[name] == pytest.approx([expected[name]]), name


@pytest.mark.parametrize("task", ["single", "multi"])
def test_a_resample_equals_the_metric_of_the_repeated_samples(task):
    truth, scores, groups = case(seed=1, classes=5, task=task)
    draws = bootstrap.resamples(groups, replicates=6)
    found = tasks.of(task).replicate(truth, scores, groups, draws)
    for i, draw in enumerate(draws):
        rows = np.repeat(np.arange(len(truth)), draw[groups])
        expected = tasks.of(task).judge(truth[rows], scores[rows], list("abcde"))
        for name in set(found) - {"ece"}:
            assert found[name][i] == pytest.approx(expected[name]), name


def test_a_class_that_a_resample_misses_does_not_lower_macro_f1():
    truth = np.zeros((4, 5), bool)
    truth[[0, 1, 2, 3], [0, 1, 2, 3]] = True  # one sample of each class but the last
    scores = truth + np.array([0, 0, 0, 0.2, 0.1])  # the top three: the class, and the last two
    draws = np.array([[1, 1, 1, 1], [2, 2, 0, 0]])
    all_of_them, two = tasks.of("multi").replicate(truth, scores, np.arange(4), draws)[
        "top3_f1_macro"
    ]
    # The first is decided for its own sample and, by order, for the fourth; the fourth for all.
    assert all_of_them == pytest.approx((2 / 3 + 1 + 1 + 2 / 5) / 4)
    assert two == pytest.approx(1)


def test_the_calibration_error_has_no_replicates():
    truth, scores, groups = case()
    found = tasks.of("single").replicate(truth, scores, groups, np.ones((3, 8), int))
    assert np.isnan(found["ece"]).all()


def test_metrics_of_ranks_are_resampled_less_where_there_are_many_scores(monkeypatch):
    assert labelled.ranked_resamples(1000) > bootstrap.REPLICATES
    assert labelled.ranked_resamples(10**9) == labelled.FEWEST
    truth, scores, groups = case()
    monkeypatch.setattr(labelled, "SCORES", 7 * scores.size)
    monkeypatch.setattr(labelled, "FEWEST", 3)
    found = tasks.of("single").replicate(truth, scores, groups, bootstrap.resamples(groups, 9))
    lengths = {name: len(values) for name, values in found.items()}
    assert lengths.pop("macro_auc") == lengths.pop("macro_ap") == 7
    assert set(lengths.values()) == {9}


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
    grouped = tasks.of("single").replicate(truth, scores, groups, bootstrap.resamples(groups))
    alone = tasks.of("single").replicate(truth, scores, single, bootstrap.resamples(single))
    assert np.std(grouped["accuracy"]) > 3 * np.std(alone["accuracy"])
