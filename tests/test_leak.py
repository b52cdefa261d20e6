"""What a random split is worth: two splits of the same samples, resampled independently."""

import numpy as np
import pytest

from histopair.evaluation import leak

SPLITS = {
    "grouped": {"of": "grouped", "by": "group"},
    "rows": {"of": "grouped", "by": "row"},
    "other": {"of": "other", "by": "group"},
}


def cell(mean, methods=("m",), spread=0.01, seed=0):
    replicates = mean + spread * np.random.default_rng(seed).normal(size=4000)
    return {
        "methods": {name: {"accuracy": (np.array([mean]), replicates)} for name in methods},
        "n_groups": 30,
    }


def rows(**cells):
    return leak.rows({(name, "e"): found for name, found in cells.items()}, {"splits": SPLITS})


def test_the_leak_is_the_random_split_minus_the_split_by_group():
    (row,) = rows(grouped=cell(0.6), rows=cell(0.7))
    assert (row["dataset"], row["random"], row["method"]) == ("grouped", "rows", "m")
    assert row["difference"] == pytest.approx(0.1)
    assert row["low"] < 0.1 < row["high"]


def test_resamples_of_both_sides_count_as_independent_though_they_share_a_seed():
    (row,) = rows(grouped=cell(0.6), rows=cell(0.7))
    width = row["high"] - row["low"]  # of the difference of two independent means: sqrt(2) wider
    assert width == pytest.approx(2 * 1.96 * 0.01 * np.sqrt(2), rel=0.07)


def test_only_views_of_one_dataset_and_methods_of_both_are_compared():
    found = rows(grouped=cell(0.6, ("m", "n")), rows=cell(0.7, ("n", "k")), other=cell(0.5))
    assert [row["method"] for row in found] == ["n"]
    assert rows(grouped=cell(0.6), other=cell(0.5)) == []


def test_a_study_that_says_nothing_of_splits_has_no_leak():
    assert leak.rows({("grouped", "e"): cell(0.6)}, {}) == []
