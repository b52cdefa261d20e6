"""Power: Student's tables where one part varies alone, and numerical integration where both do."""

import math

import numpy as np
import pytest
from scipy import stats

from histopair.evaluation import power, two_way

NONE = [(1e-12, 10_000)]  # of groups that hardly vary


def seeds(deviation, n=3):
    """The part of n seeds whose gains have this standard deviation."""
    return [(deviation**2 / n, n - 1)]


def student(effect, n):
    """Power of a paired t test at 5% in the right direction, by the noncentral t."""
    return stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, effect * math.sqrt(n))


@pytest.mark.parametrize(("effect", "needed"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_where_groups_hardly_vary_it_is_the_paired_t_test_of_cohens_tables(effect, needed):
    assert power.seeds_needed(0.01 * effect, NONE, seeds(0.01)) == needed
    assert power.seeds_needed(-0.01 * effect, NONE, seeds(0.01)) == needed


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_power_of_seeds_alone(n):
    stated = power.of_gain(0.01, NONE, seeds(0.01), n)
    assert stated == pytest.approx(student(1.0, n), abs=0.01)


def test_power_of_groups_alone_whatever_the_seeds():
    groups, still = [(0.01**2, 35)], seeds(1e-9)
    shift = 0.025 / 0.01
    expected = stats.nct.sf(stats.t.ppf(0.975, 35), 35, shift)
    for n in (2, 3, 100):
        assert power.of_gain(0.025, groups, still, n) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(("n", "gain"), [(2, 0.05), (3, 0.03), (5, 0.02), (10, 0.0)])
def test_with_both_it_is_the_share_of_drawn_intervals_above_zero(n, gain):
    random, draws = np.random.default_rng(0), 2000
    groups, of_seeds = 0.008**2, 0.012**2 / n
    means = random.normal(gain, math.sqrt(groups + of_seeds), draws)
    parts = [
        variance * random.chisquare(freedom, draws) / freedom
        for variance, freedom in ((groups, 24), (of_seeds, n - 1))
    ]
    judged = (
        two_way.judge(m, [(g, 24)], [(s, n - 1)]) for m, g, s in zip(means, *parts, strict=True)
    )
    seen = np.mean([row["low"] > 0 for row in judged])
    stated = power.of_gain(gain, [(groups, 24)], seeds(0.012), n)
    assert stated == pytest.approx(seen, abs=3 * math.sqrt(0.25 / draws))


def test_a_gain_that_groups_hide_takes_more_patients_and_not_more_seeds():
    assert power.seeds_needed(0.01, [(0.01**2, 20)], seeds(0.01)) == math.inf
    assert power.seeds_needed(0.01, [(0.003**2, 20)], seeds(0.01)) < 50


def test_seeds_that_are_needed_are_enough_and_one_fewer_is_not():
    parts = [(0.004**2, 30)], seeds(0.02)
    needed = power.seeds_needed(0.02, *parts)
    assert power.of_gain(0.02, *parts, needed) >= 0.8 > power.of_gain(0.02, *parts, needed - 1)


def test_no_number_without_a_gain_groups_or_trainings_that_vary():
    groups = [(0.01**2, 20)]
    assert power.seeds_needed(0.0, groups, seeds(0.01)) is None
    assert power.seeds_needed(0.1, None, seeds(0.01)) is None
    assert power.seeds_needed(0.1, groups, []) is None
    assert power.seeds_needed(0.1, groups, seeds(0.0)) is None
    assert power.seeds_needed(5.0, groups, seeds(0.01)) == 2


def test_quantiles_of_many_shares_are_those_of_each():
    shares = np.random.default_rng(0).random(50) ** 2
    for seeds_freedom in (1, 2, 9):
        each = [two_way._quantile([(1 - s, 49), (s, seeds_freedom)]) for s in shares]
        assert two_way.quantiles(shares, 49, seeds_freedom) == pytest.approx(each, rel=1e-3)
