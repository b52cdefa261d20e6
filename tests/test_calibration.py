"""Calibration: bins by hand, the temperature that made the scores found again, defined extremes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from histopair.evaluation import calibration, reliability, tasks


def single(seed=0, n=4000, classes=4, temperature=1.0):
    """Samples whose labels follow softmax(z), and the scores softmax(z / temperature)."""
    random = np.random.default_rng(seed)
    z = random.normal(0, 2, (n, classes))
    drawn = (softmax(z, 1).cumsum(1) < random.random((n, 1))).sum(1)
    return np.eye(classes, dtype=bool)[drawn], softmax(z / temperature, 1)


def multi(seed=0, n=1500, classes=6, temperature=1.0):
    random = np.random.default_rng(seed)
    z = random.normal(-1, 2, (n, classes))
    return random.random((n, classes)) < expit(z), expit(z / temperature)


WORLDS = {"single": single, "multi": multi}
SINGLE = tasks.of("single")


def test_bins_and_expected_error_by_hand():
    scores = np.array([[0.65, 0.35], [0.62, 0.38], [0.9, 0.1], [0.0, 1.0]])
    truth = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], bool)
    bins = reliability.bins(*tasks.of("single").confidences(truth, scores))
    assert [i for i, count in enumerate(bins["count"]) if count] == [9, 13, 14]
    assert bins["confidence"][9] == pytest.approx(0.635) and bins["observed"][9] == 0.5
    assert bins["confidence"][0] is None and bins["observed"][0] is None
    assert reliability.expected_error(bins) == pytest.approx((2 * 0.135 + 0.1 + 0) / 4)


def test_multi_label_bins_pool_every_label_of_every_sample():
    truth = np.array([[1, 0], [1, 0]], bool)
    bins = reliability.bins(*tasks.of("multi").confidences(truth, np.full((2, 2), 0.5)))
    assert bins["count"][7] == 4 and bins["observed"][7] == 0.5
    assert reliability.expected_error(bins) == 0


def test_bins_hold_their_upper_edge_and_probability_zero_is_in_the_first():
    truth, scores = np.array([[0, 0, 0]], bool), np.array([[0.0, 1 / 15, 1.0]])
    bins = reliability.bins(*tasks.of("multi").confidences(truth, scores))
    assert (bins["count"][0], bins["count"][14], sum(bins["count"])) == (2, 1, 3)


@pytest.mark.parametrize("task", WORLDS)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_distorted_the_scores_is_found(task, temperature):
    truth, scores = WORLDS[task](temperature=temperature)
    # Dividing by T was undone by dividing by 1 / T.
    assert calibration.fit_temperature(truth, scores, tasks.of(task)) == pytest.approx(
        1 / temperature, rel=0.06
    )


@pytest.mark.parametrize("task", WORLDS)
def test_scaling_fitted_on_validation_calibrates_the_test_split(task):
    splits = {
        "val": WORLDS[task](seed=1, temperature=0.4),
        "test": WORLDS[task](seed=2, temperature=0.4),
    }
    found = calibration.judge(splits, tasks.of(task))["splits"]["test"]
    assert found["after"]["nll"] < found["before"]["nll"]
    assert found["after"]["ece"] < 0.3 * found["before"]["ece"] < 0.1


def test_the_test_split_has_no_part_in_the_temperature():
    val = single(seed=1, temperature=0.4)
    one, other = (
        calibration.judge({"val": val, "test": test}, tasks.of("single"))["temperature"]
        for test in (single(seed=2), single(seed=3, temperature=3))
    )
    assert one == other == calibration.fit_temperature(*val, tasks.of("single"))


@pytest.mark.parametrize("task", WORLDS)
def test_each_fold_has_the_temperature_of_its_own_validation_samples(task):
    """Two models, one too sure and one too modest: one temperature for both fits neither."""
    folds = {1: 0.4, 2: 2.5}
    parts = {
        split: [WORLDS[task](seed=seed + fold, temperature=folds[fold]) for fold in folds]
        for split, seed in (("val", 0), ("test", 10))
    }
    splits = {
        split: tuple(map(np.concatenate, zip(*of, strict=True))) for split, of in parts.items()
    }
    numbers = {split: np.repeat([1, 2], [len(one[0]) for one in of]) for split, of in parts.items()}
    joined = calibration.judge(splits, tasks.of(task), numbers)
    alone = [
        calibration.judge({split: of[i] for split, of in parts.items()}, tasks.of(task))
        for i in (0, 1)
    ]
    assert joined["by_fold"] == {str(i + 1): alone[i]["temperature"] for i in (0, 1)}
    assert joined["temperature"] == pytest.approx(sum(joined["by_fold"].values()) / 2)
    found = joined["splits"]["test"]["after"]["nll"]
    expected = np.mean([one["splits"]["test"]["after"]["nll"] for one in alone])
    assert found == pytest.approx(expected)
    whole = calibration.judge(splits, tasks.of(task))
    assert found < whole["splits"]["test"]["after"]["nll"]


def test_samples_of_a_fold_without_validation_keep_their_scores():
    truth, scores = single(n=200, temperature=0.4)
    folds = {"val": np.ones(200, int), "test": np.full(200, 2)}
    found = calibration.judge({"val": (truth, scores), "test": (truth, scores)}, SINGLE, folds)
    assert found["splits"]["test"]["after"] == found["splits"]["test"]["before"]


@pytest.mark.parametrize("bad", [False, True])
def test_a_run_is_at_the_bound_if_a_fold_of_it_is(bad):
    fitted = {"temperature": 3.0, "by_fold": {"1": 1.0, "2": 100.0 if bad else 5.0}}
    assert calibration.fits_at_bound(fitted) == bad


@pytest.mark.parametrize("task", WORLDS)
def test_likelihood_agrees_with_scikit_learn(task):
    truth, scores = WORLDS[task](n=200)
    mine = calibration.negative_log_likelihood(truth, scores, tasks.of(task))
    expected = (
        log_loss(truth, scores) if task == "single" else log_loss(truth.ravel(), scores.ravel())
    )
    assert mine == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 20), st.sampled_from(sorted(WORLDS)))
@settings(max_examples=40, deadline=None)
def test_scaling_keeps_order_and_range_and_undoes_itself(seed, temperature, task):
    _, scores = WORLDS[task](seed=seed, n=5)
    scaled = calibration.scale(scores, tasks.of(task), temperature)
    assert tasks.of(task).are_probabilities(scaled)
    highest = np.take_along_axis(scaled, scores.argmax(1)[:, None], axis=1)[:, 0]
    assert np.array_equal(highest, scaled.max(1))  # ties may arise at probability 1
    assert calibration.scale(scores, tasks.of(task), 1.0) == pytest.approx(scores, abs=1e-6)


@pytest.mark.parametrize("task", WORLDS)
def test_probabilities_of_exactly_zero_and_one_are_defined(task):
    truth, scores = np.eye(3, dtype=bool), np.eye(3)
    splits = {"val": (truth, scores), "test": (truth[::-1], scores)}
    found = calibration.judge(splits, tasks.of(task))
    assert np.isfinite(found["temperature"])
    for half in ("before", "after"):
        assert np.isfinite(found["splits"]["test"][half]["nll"])
        assert found["splits"]["test"][half]["ece"] > 0.3


@pytest.mark.parametrize("task", WORLDS)
def test_equal_scores_keep_temperature_one(task):
    truth = np.array([[1, 0], [0, 1]], bool)
    assert calibration.fit_temperature(truth, np.full((2, 2), 0.5), tasks.of(task)) == 1


def test_one_validation_sample_gives_a_bounded_temperature():
    low, high = calibration.TEMPERATURES
    one = np.array([[1, 0]], bool), np.array([[0.3, 0.7]])
    found = calibration.fit_temperature(*one, tasks.of("single"))
    assert low <= found <= high * 1.001


@pytest.mark.parametrize("task", WORLDS)
def test_a_fit_that_ends_at_its_bound_is_known(task):
    truth, scores = WORLDS[task]()
    assert not calibration.at_bound(calibration.fit_temperature(truth, scores, tasks.of(task)))
    truth = np.eye(2, dtype=bool)[[0, 1, 1]]
    wrong = np.where(truth, 0.1, 0.9)
    assert calibration.at_bound(calibration.fit_temperature(truth, wrong, tasks.of(task)))
    hardly_right = np.where(truth, 0.51, 0.49)
    assert calibration.at_bound(calibration.fit_temperature(truth, hardly_right, tasks.of(task)))


@pytest.mark.parametrize(
    "splits",
    [
        {"test": (np.eye(2, dtype=bool), np.eye(2))},
        {"val": (np.eye(2, dtype=bool), 2 * np.eye(2))},
        {"val": (np.eye(2, dtype=bool), np.full((2, 2), 0.4))},
    ],
    ids=["no validation", "above one", "rows that do not sum to one"],
)
def test_without_validation_or_probabilities_there_is_no_calibration(splits):
    assert calibration.judge(splits, tasks.of("single")) is None
