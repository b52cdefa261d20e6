"""The formulas of the standing check: by hand, and beside those of the package."""

import hypothesis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import special, stats

from commands import audit
from histopair.evaluation import convergence, p_values, score, tasks
from histopair.evaluation.two_way import judge
from histopair.files import tables
from recompute import artifacts, resamples, two_way
from recompute import convergence as recomputed_convergence
from recompute.tally import Tally


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_metrics_that_need_more_classes_are_not_expected(classes):
    rng = np.random.default_rng(classes)
    truth, scores = rng.random((30, classes)) < 0.4, rng.random((30, classes))
    names = [f"c{i}" for i in range(classes)]
    ids = np.arange(30).astype(str)
    predictions = artifacts.Predictions(ids, np.full(30, "test"), truth, scores, names, "multi")
    recomputed = audit.metrics.scalars(predictions)
    stated = tasks.of("multi").judge(truth, scores, names)
    assert {name: stated[name] for name in recomputed} == pytest.approx(recomputed)
    assert [recomputed[f"label_accuracy_{k}"] is None for k in (1, 2, 3)] == [
        k >= classes for k in (1, 2, 3)
    ]


def test_sure_classes_are_ranked_alike_in_both():
    rng = np.random.default_rng(0)
    truth = np.eye(4, dtype=bool)[rng.integers(0, 4, 200)]
    scores = special.softmax(np.float32(rng.normal(0, 20, truth.shape) + 10 * truth), axis=1)
    assert (scores == 1).sum() > 40
    ids, names = np.arange(200).astype(str), list("abcd")
    wide = scores.astype(float)
    predictions = artifacts.Predictions(ids, np.full(200, "test"), truth, wide, names, "single")
    stated = tasks.of("single").judge(truth, scores, names)
    for recomputed in (audit.metrics.scalars(predictions), _once(predictions)):
        for name in ("macro_auc", "macro_ap"):
            assert stated[name] == pytest.approx(recomputed[name], abs=1e-12)


def _once(predictions):
    """The audit's metrics in the resample that has each sample once."""
    groups = np.arange(len(predictions.ids))
    drawn = resamples._metrics(predictions, groups, np.ones((1, len(groups))))
    return {name: values[0] for name, values in drawn.items()}


@pytest.mark.parametrize("changed", [None, "1", "2", "whole"])
def test_each_folds_temperature_is_fitted_again(tmp_path, changed):
    rng, n = np.random.default_rng(0), 120
    scores = special.softmax(rng.normal(0, 2, (n, 2)), axis=1)
    labels = np.where(rng.random(n) < scores[:, 0], "a", "b")
    scores[::2] = scores[::2] ** 2 / (scores[::2] ** 2).sum(1, keepdims=True)  # fold 1 is too sure
    columns = {
        "sample_id": np.arange(n).astype(str),
        "split": np.repeat(["val", "test"], n // 2),
        "labels": [[label] for label in labels],
        "scores": tables.vectors(scores.astype("float32")),
        "fold": np.tile([1, 2], n // 2),
    }
    file = tmp_path / "predictions.parquet"
    tables.write(file, pa.table(columns), {"task": "single", "classes": ["a", "b"]})
    stated = score.of_predictions(file)["calibration"]
    if changed == "whole":
        del stated["by_fold"]
    elif changed:
        stated["by_fold"][changed] *= 1.5
    tally = Tally("calibration")
    run = artifacts.predictions(file)
    audit.calibration._compare(tally, file, stated, run)
    assert (tally.disagreements == []) == (changed is None)


LOSSES = hypothesis.strategies.lists(hypothesis.strategies.floats(0.5, 2), min_size=1, max_size=40)


@hypothesis.given(train=LOSSES, val=LOSSES)
def test_convergence_is_the_same_in_both(train, val):
    epochs = min(len(train), len(val))
    history = {"stage": "main", "train_loss": train[:epochs], "val_task": val[:epochs]}
    history = pd.DataFrame(history | {"train_task": train[:epochs]})
    judged, (recomputed,) = convergence.judge(history), audit.convergence.stages(history)
    assert judged["converged"] == recomputed["converged"]
    assert judged["stages"][0]["best_epoch"] == recomputed["best_epoch"]


APART, TOGETHER = 0.02 * (1 - np.log(0.02)), p_values.harmonic([0.1, 0.2])


@pytest.mark.parametrize("family, p", [("b", APART), ("a", TOGETHER)])
@pytest.mark.parametrize("off", [0, 0.001])
def test_a_combined_p_is_that_of_the_families_of_cells_that_have_one(tmp_path, family, p, off):
    """Of .1 and .2 apart: P(chi-squared of 4 > -2 log .02) = .02 (1 - log .02)."""
    rows = [("a", 0.1, 0.3, None), ("b", 0.2, 0.1, None), ("c", None, 0.5, None)]
    rows += [("leaky", 0.9, 0.9, None), ("*", p + off, 0.2, 2)]
    table = pd.DataFrame(rows, columns=["dataset", "p_better", "gain", "cells"])
    table = table.assign(method="m", p_seeds_better=np.nan)
    tally = Tally("tests")
    families = {"a": "a", "b": family, "c": "c"}
    audit.p_values._together(tally, tmp_path, table, {"leaky"}, families)
    assert (tally.disagreements == []) == (not off)


@pytest.mark.parametrize("smallest", [1.0, 0.01, 1e-9])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_the_p_of_tests_that_depend_on_each_other_is_the_same_in_both(count, smallest):
    p = np.random.default_rng(count).random(count) * smallest
    assert audit.p_values._of_dependent(p) == pytest.approx(p_values.harmonic(p), rel=1e-9)


def test_stuck_seeds_are_counted_as_the_studies_count_them():
    random, counts = np.random.default_rng(0), []
    for _ in range(200):
        histories = [_history(random) for _ in range(random.integers(1, 6))]
        judged = [convergence.judge(history) for history in histories]
        counts.append(convergence.unfinished(judged))
        assert recomputed_convergence.unfinished(histories) == counts[-1]
    assert len(set(counts)) > 2


def _history(random) -> pd.DataFrame:
    rows = [
        pd.DataFrame({"stage": stage, "train_task": losses, "train_loss": 1.0, "val_task": val})
        for stage in ("text", "main")
        for losses, val in [(1 + random.uniform(0, 0.4) * random.random(6), random.random(6))]
    ]
    rows[1]["used"] = random.random() < 0.7
    return pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_two_way_interval_by_hand(tmp_path, seeds):
    """A mean of 20 groups of ones and zeros: variance p (1 - p) / 19, and that of the seeds."""
    draws = np.random.default_rng(0).multinomial(20, [0.05] * 20, 20_000)
    replicates = draws[:, :10].sum(1) / 20
    values = np.array([0.5, 0.4, 0.6])[:seeds]
    of_groups, of_seeds = 0.25 / 19, 0.01 / 3 if seeds == 3 else 0.0
    total = of_groups + of_seeds
    t = {1: stats.t.ppf(0.975, 19), 3: 2.3901351}[seeds]
    if seeds == 3:
        beyond = of_groups * stats.t.sf(t, 19) + of_seeds * stats.t.sf(t, 2)
        assert beyond / total == pytest.approx(0.025, abs=1e-6)
    reach = t * np.sqrt(total)
    share = of_seeds / total if seeds == 3 else None
    for off, agrees in ((0.0, True), (0.01, False)):
        stated = {"low": 0.5 - reach, "high": 0.5 + reach + off, "seed_share": share}
        tally = Tally("by hand")
        groups = two_way.of_groups(replicates, 20, 1000)
        of = two_way.of_seeds(values)
        two_way.check(tally, tmp_path, "mean", stated, 0.5, groups, of, 0.0)
        assert (tally.disagreements == []) == agrees


PARTS = [([0.04, 0.01], [0.02]), ([0.04, 0.0], [0.02, 0.03]), ([0.05], []), ([0.0], [])]


@pytest.mark.parametrize("mean", [0.1, -0.3])
@pytest.mark.parametrize("of_groups, of_seeds", PARTS)
def test_the_ranges_of_variances_without_doubt_are_the_packages_numbers(mean, of_groups, of_seeds):
    groups = [(variance / 10, 9 + i) for i, variance in enumerate(of_groups)]
    seeds = [(variance / 10, 2 + i) for i, variance in enumerate(of_seeds)]
    parts = ([two_way.Part(*pair) for pair in side] for side in (groups, seeds))
    ranges = two_way.ranges(mean, *parts, least=-1.0)
    for name, value in judge(mean, groups, seeds).items():
        assert ranges[name] == (None if value is None else pytest.approx((value, value))), name
