"""Intervals over groups and seeds: hand values, known limits, and coverage in a simulated world."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from histopair.evaluation import significance, two_way

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import coverage


def test_the_variance_is_that_of_groups_and_of_seeds_and_p_students_by_their_shares():
    seeds = np.array([0.1, 0.2, 0.3])
    replicates = 0.2 + np.array([[-0.02, 0.02]] * 3)  # two resamples of five groups
    found = two_way.of_difference((seeds, replicates), (np.zeros(1), np.zeros(2)), groups=5)
    of_groups, of_seeds = 0.02**2 * 5 / 4, 0.1**2 / 3
    share, error = of_seeds / (of_groups + of_seeds), np.sqrt(of_groups + of_seeds)

    def p(t):
        return 2 * (share * stats.t.sf(t, 2) + (1 - share) * stats.t.sf(t, 4))

    assert found["seed_share"] == pytest.approx(share)
    assert found["p"] == pytest.approx(p(0.2 / error))
    assert found["p_better"] == pytest.approx(found["p"] / 2)
    ends = [(found["high"] - 0.2) / error, (0.2 - found["low"]) / error]
    assert [p(end) for end in ends] == pytest.approx([0.05, 0.05])


def test_where_groups_hardly_vary_it_is_the_t_test_of_the_paired_seeds():
    ours, theirs = np.array([0.3, 0.32, 0.37, 0.31]), np.array([0.29, 0.3, 0.31, 0.32])
    still = np.tile([-1e-9, 1e-9], (4, 50))
    found = two_way.of_difference((ours, ours[:, None] + still), (theirs, still * 0), groups=40)
    expected = stats.ttest_rel(ours, theirs)
    assert found["p"] == pytest.approx(expected.pvalue)
    assert (found["low"], found["high"]) == pytest.approx(expected.confidence_interval(0.95))
    assert found["seed_share"] == pytest.approx(1)


def test_seeds_that_cannot_be_matched_vary_independently_with_welchs_error():
    ours, theirs = np.array([0.3, 0.32, 0.37]), np.array([0.29, 0.3, 0.31, 0.32, 0.28])
    still = np.tile([-1e-9, 1e-9], 50)
    sides = [(seeds, np.tile(still, (len(seeds), 1))) for seeds in (ours, theirs)]
    sides[1] = (theirs, 0 * sides[1][1])
    found = two_way.of_difference(*sides, groups=40)
    welch = stats.ttest_ind(ours, theirs, equal_var=False)
    t, parts = abs(welch.statistic), [ours.var(ddof=1) / 3, theirs.var(ddof=1) / 5]
    expected = 2 * np.dot(parts, stats.t.sf(t, [2, 4])) / sum(parts)
    assert found["p"] == pytest.approx(expected)
    assert found["p"] > welch.pvalue  # Welch's degrees of freedom are of the sum


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_without_a_difference_small_p_are_as_rare_as_they_say(share):
    """Three seeds with this share of the variance beside 36 groups, 4,000 times."""
    random = np.random.default_rng(0)
    seeds, groups = (random.chisquare(df, 4000) / df for df in (2, 35))
    parts = zip(random.normal(size=4000), share * seeds, (1 - share) * groups, strict=True)
    p = np.array([two_way.judge(m / 9, [(g / 81, 35)], [(s / 81, 2)])["p"] for m, s, g in parts])
    for level in (0.05, 0.01, 0.003):
        assert np.mean(p < level) < level + 3 * np.sqrt(level / 4000)


def test_without_seeds_only_groups_vary():
    one, other = np.array([0.8]), np.array([0.7])
    wobble = np.random.default_rng(0).normal(0, 0.01, (1, 20_000))
    found = two_way.of_difference((one, 0.8 + wobble), (other, 0.7 + 0 * wobble), groups=30)
    reach = stats.t.ppf(0.975, 29) * 0.01 * np.sqrt(30 / 29)
    assert found["high"] - found["low"] == pytest.approx(2 * reach, rel=0.02)
    assert found["seed_share"] is None


@pytest.mark.parametrize("part", [0.0, 1e-30, 1e-12])
def test_a_part_that_is_nearly_nothing_leaves_the_other_ones_quantile(part):
    for parts, df in (((1.0, part), 35), ((part, 1.0), 2)):
        found = two_way.judge(0.0, [(parts[0] / 1e4, 35)], [(parts[1] / 1e4, 2)])
        assert found["high"] == pytest.approx(0.01 * stats.t.ppf(0.975, df))


def test_methods_that_are_alike_do_not_differ_and_constant_gains_have_the_sign_tests_p():
    seeds, replicates = np.array([0.5, 0.6]), np.random.default_rng(0).random((2, 50))
    alike = two_way.of_difference((seeds, replicates), (seeds, replicates), groups=8)
    assert (alike["low"], alike["high"], alike["p"]) == (None, None, 1)
    better = seeds + 0.125, replicates + 0.125
    assert two_way.of_difference(better, (seeds, replicates), groups=8)["p"] == 2 * 0.5**8


@pytest.mark.parametrize(
    ("replicates", "groups"),
    [(np.full((2, 10), 0.5), 1), (np.full((2, 10), np.nan), 9), (np.eye(2, 10) * np.nan, 9)],
)
def test_a_metric_that_does_not_exist_has_neither_interval_nor_p(replicates, groups):
    side = np.array([0.5, 0.6]), replicates
    assert two_way.of_difference(side, side, groups) == two_way.NOTHING
    assert two_way.of_mean(*side, groups) == two_way.NOTHING


def test_no_test_over_groups_of_a_metric_that_has_no_value():
    nothing = np.array([np.nan]), np.full(10, np.nan)
    cell = {"n_groups": 3, "task": "single", "methods": {m: {"macro_auc": nothing} for m in "ab"}}
    cell["runs"] = {m: [{"counts": {}}] for m in "ab"}
    found = significance.compare(cell, "a", "b", "macro_auc")
    assert found["p"] is found["p_better"] is found["p_groups"] is found["test_groups"] is None


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 50))
def test_interval_and_p_agree_and_turn_with_the_sides(seed, count, groups):
    random = np.random.default_rng(seed)
    sides = [(random.random(count), random.random((count, 30)) / 5) for _ in range(2)]
    found, turned = (two_way.of_difference(*pair, groups) for pair in (sides, sides[::-1]))
    assert (found["p"] < 0.05) == (found["low"] > 0 or found["high"] < 0)
    assert turned["low"] == pytest.approx(-found["high"])
    assert turned["p_better"] == pytest.approx(1 - found["p_better"])


def test_intervals_hold_the_truth_where_resampled_groups_alone_do_not():
    """Three seeds whose trainings vary: benchmarks/coverage.py at few worlds, with a fixed seed."""
    world = coverage.World("single", groups=20, classes=3, per_group=6, trainings=0.5)
    found = coverage.measure(world, seeds=3, worlds=120, resamples=100, seed=1)
    held = {row["interval"]: row["held"] for row in found if row["of"] == "difference"}
    assert held["two-way"] > 0.9
    assert held["groups alone"] < 0.8
