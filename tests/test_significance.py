"""Tests and their combination: hand cases, power tables, and the figure recovered for CLIP-IT."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from histopair.evaluation import bootstrap, p_values, published, significance, tasks

PAPER = published.read(Path(__file__).parents[1] / "config/published/clip-it.csv")
BACKBONES = ("uni", *(f"kaiko-vit-{size}" for size in ("l14", "b16", "s16", "b8", "s8")))
METHODS = {
    "pcam": ("unimodal-published", "clip-it"),
    "bach": ("unimodal-published", "clip-it"),
    "crc": ("unimodal-published", "clip-it"),
}


def paper_p(dataset):
    """One-sided Welch p of each backbone in the paper's Table 1, three seeds each."""
    found = []
    for backbone in BACKBONES:
        base, ours = (
            published.find(PAPER, dataset, backbone, method, "balanced_accuracy")
            for method in METHODS[dataset]
        )
        sides = [(row["paper"], row["paper_std"]) for row in (ours, base)]
        test = stats.ttest_ind_from_stats(
            *sides[0], 3, *sides[1], 3, equal_var=False, alternative="greater"
        )
        found.append(float(test.pvalue))
    return found


def test_table_1_of_clip_it_comes_to_the_recovered_figure():
    everything = [p for dataset in METHODS for p in paper_p(dataset)]
    assert len(everything) == 18
    assert 3e-10 < p_values.fisher(everything) < 3e-9
    assert p_values.fisher(paper_p("bach")) == pytest.approx(0.13, abs=0.005)


def test_welch_by_hand():
    two, greater = p_values.welch(np.array([3.0, 4, 5]), np.array([1.0, 2, 3]))
    t, freedom = 2 / math.sqrt(1 / 3 + 1 / 3), 4
    assert two == pytest.approx(2 * stats.t.sf(t, freedom))
    assert greater == pytest.approx(two / 2)


def test_one_run_alone_is_what_the_seeds_of_the_other_are_held_against():
    two, greater = p_values.welch(np.array([3.0, 4, 5]), np.array([2.0]))
    assert two == pytest.approx(stats.ttest_1samp([1.0, 2, 3], 0).pvalue)
    assert greater == pytest.approx(two / 2)
    assert p_values.welch(np.array([2.0]), np.array([3.0, 4, 5]))[1] > 0.9


@pytest.mark.parametrize("sides", [([0.5], [0.6]), ([0.5, 0.5], [0.6, 0.6])])
def test_where_no_seed_varies_there_is_no_test_over_seeds(sides):
    assert p_values.welch(*map(np.array, sides)) == (None, None)


def test_fisher_by_hand():
    p = [0.1, 0.02]
    statistic = -2 * (math.log(0.1) + math.log(0.02))
    assert p_values.fisher(p) == pytest.approx(stats.chi2.sf(statistic, 4))
    assert p_values.fisher([None, *p, None]) == p_values.fisher(p)
    assert p_values.fisher([None]) is None and p_values.fisher([]) is None


def test_the_harmonic_mean_by_hand():
    """Wilson 2019: the chance that 1,000 uniform numbers have a smaller harmonic mean than .02."""
    uniform = np.random.default_rng(0).random((100_000, 1000))
    smaller = (1 / (1 / uniform).mean(1) < 0.02).mean()
    assert p_values.harmonic([0.02] * 1000) == pytest.approx(smaller, rel=0.03)
    assert p_values.harmonic([0.3]) == 0.3
    assert p_values.harmonic([1e-9, 0.5]) == pytest.approx(2e-9, rel=1e-3)


@pytest.mark.parametrize("datasets", [1, 2])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_cells_of_one_test_split_keep_the_level_and_fisher_alone_would_not(correlation, datasets):
    """Datasets in six cells each, whose tests share patients; no method is better."""
    random, draws = np.random.default_rng(1), 4000
    shared = np.sqrt(correlation) * random.normal(size=(draws, datasets, 1))
    z = shared + np.sqrt(1 - correlation) * random.normal(size=(draws, datasets, 6))
    p = stats.norm.sf(z)
    ours = [p_values.fisher([p_values.harmonic(of) for of in both]) for both in p]
    assert np.mean(np.array(ours) < 0.05) < 0.06
    plain = [p_values.fisher(list(both.ravel())) for both in p[:1000]]
    assert correlation == 0 or np.mean(np.array(plain) < 0.05) > 0.12


def test_cells_of_one_family_count_once():
    a, b, c = cell(0.6), cell(0.3), cell(0.5) | {"ids": ["other"]}
    study = {"reference": "old", "metric": "accuracy"}
    *single, together = significance.rows({("d", "e"): a, ("d", "f"): b, ("d2", "e"): c}, study)
    p = [row["p_better"] for row in single]
    assert together["p_better"] == pytest.approx(p_values.fisher([p_values.harmonic(p[:2]), p[2]]))


def test_families_are_of_one_base_or_share_test_samples():
    ids = {"a": "1", "a-5": "9", "b": "23", "c": "34", "d": "45", "e": "7"}
    cells = {(name, "e"): {"ids": list(own)} for name, own in ids.items()}
    study = {"splits": {name: {"of": name[0]} for name in ids}}
    found = significance.families(cells, study)
    assert found == {"a": "a", "a-5": "a", "b": "b", "c": "b", "d": "b", "e": "e"}
    reversed_cells = dict(reversed(cells.items()))
    assert significance.families(reversed_cells, study)["b"] == "d"


def test_holm_by_hand():
    # Holm 1979: 4 * 0.005, 3 * 0.01, then 2 * 0.03, and 0.04 no lower than the one before.
    assert p_values.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert p_values.holm([0.6, None, 0.5]) == [1.0, None, 1.0]
    assert p_values.holm([]) == []


def counts(right, groups):
    """Counts per group of a two-class run whose sample i is right where right[i]."""
    truth = np.eye(2, dtype=bool)[np.arange(len(right)) % 2]
    scores = np.where(np.array(right, bool)[:, None], truth, ~truth).astype(float)
    return tasks.of("single").group_counts(truth, scores, np.array(groups))


def test_permutations_agree_with_all_swaps_enumerated():
    random = np.random.default_rng(1)
    groups = np.repeat(np.arange(6), 5)
    ours, theirs = ([counts(random.random(30) < p, groups)] for p in (0.8, 0.5))
    observed, null = p_values.permutation(ours, theirs, "balanced_accuracy")
    every = [
        p_values._differences([(ours[0], theirs[0])], np.array([swap]), "balanced_accuracy")[0]
        for swap in product((0, 1), repeat=6)
    ]
    assert observed == pytest.approx(every[0])
    assert every[-1] == pytest.approx(-observed)  # all groups swapped
    extreme = np.mean(np.abs(every) >= abs(observed) - 1e-12)
    assert np.mean(np.abs(null) >= abs(observed) - 1e-12) == pytest.approx(extreme, abs=0.03)


def test_permutations_are_the_same_however_many_fit_in_memory(monkeypatch):
    ours, theirs = ([counts(right, [0, 0, 1, 1])] for right in ([1, 1, 1, 0], [0, 1, 0, 0]))
    shapes = [len(p_values.permutation(ours, theirs, "accuracy")[1])]
    monkeypatch.setattr(p_values, "CELLS", 4 * 100)
    shapes.append(len(p_values.permutation(ours, theirs, "accuracy")[1]))
    assert shapes == [p_values.PERMUTATIONS] * 2


def cell(better, groups=40, seeds=6, metric="accuracy", draws=400):
    """Two methods on one sample per group, "new" right on a further share `better` of them."""
    random = np.random.default_rng(0)
    index, truth = np.arange(groups), np.eye(2, dtype=bool)[np.arange(groups) % 2]
    weights = bootstrap.resamples(index, draws)
    base = random.random(groups) < 0.4
    runs, methods = {}, {}
    for name, share in (("old", 0.0), ("new", better)):
        members, values, replicates = [], [], []
        for seed in range(seeds):
            flips = np.random.default_rng(seed).random(groups)
            right = (base | (flips < share)) ^ (flips > 0.97)
            scores = np.where(right[:, None], truth, ~truth) * 0.8 + 0.1
            members.append({"counts": tasks.of("single").group_counts(truth, scores, index)})
            values.append(tasks.of("single").judge(truth, scores, ["a", "b"])[metric])
            replicates.append(tasks.of("single").replicate(truth, scores, index, weights)[metric])
        runs[name] = members
        methods[name] = {metric: (np.array(values), np.mean(replicates, 0))}
    facts = {"task": "single", "n_groups": groups, "ids": [str(i) for i in index]}
    return {"methods": methods, "runs": runs} | facts


@pytest.mark.parametrize("metric", ["accuracy", "macro_auc"])
def test_a_clear_gain_is_significant_and_none_is_not(metric):
    clear = significance.compare(cell(0.6, metric=metric), "old", "new", metric)
    assert clear["test_groups"] == ("permutation" if metric == "accuracy" else "bootstrap")
    assert (
        clear["p"] < 0.01
        and clear["p_groups"] < 0.01
        and clear["p_better"] < 0.01
        and clear["effect_groups"] > 0.3
    )
    none = significance.compare(cell(0.0, metric=metric), "old", "new", metric)
    assert none["p"] == 1 and none["gain"] == 0 and none["effect_seeds"] in (0, None)


def test_a_loss_has_a_small_two_sided_and_a_large_one_sided_p():
    worse = significance.compare(cell(0.6), "new", "old", "accuracy")
    assert worse["gain"] < 0 and worse["p"] < 0.01 and worse["p_better"] > 0.99


def test_one_group_has_no_test():
    alone = cell(0.6, groups=40) | {"n_groups": 1}
    found = significance.compare(alone, "old", "new", "accuracy")
    assert found["p"] is found["p_better"] is found["p_groups"] is found["test_groups"] is None


def test_a_study_of_several_cells_ends_in_one_combined_row_per_method():
    cells = {("d", "e"): cell(0.6), ("d", "e2"): cell(0.3)}
    study = {"reference": "old", "metric": "accuracy"}
    *single, together = significance.rows(cells, study)
    assert [row["cells"] for row in single] == [1, 1] and together["cells"] == 2
    assert together["dataset"] == significance.EVERYTHING
    assert together["p_better"] == pytest.approx(
        p_values.harmonic([row["p_better"] for row in single])
    )
    lowest, highest = sorted(single, key=lambda row: row["p"])
    assert lowest["p_holm"] == pytest.approx(min(1, 2 * lowest["p"]))
    assert highest["p_holm"] == pytest.approx(max(highest["p"], lowest["p_holm"]))


def test_the_correction_is_for_the_comparisons_on_one_dataset():
    cells = {key: cell(0.3) for key in (("d", "e"), ("d", "e2"), ("d2", "e"))}
    *single, _ = significance.rows(cells, {"reference": "old", "metric": "accuracy"})
    for row, family in zip(single, (2, 2, 1), strict=True):
        assert 0 < row["p"] < 0.1
        assert row["p_holm"] == pytest.approx(family * row["p"])


def test_a_random_split_of_a_dataset_is_not_combined_with_its_split_by_group():
    cells = {(name, "e"): cell(0.5) for name in ("d", "d-random", "other")}
    splits = {"d": "group", "d-random": "row", "other": "row"}
    study = {"reference": "old", "metric": "accuracy"}
    study["splits"] = {name: {"of": name[:1], "by": by} for name, by in splits.items()}
    together = significance.rows(cells, study)[-1]
    assert together["cells"] == 2  # other has no split by group to stand for it


def test_a_study_without_a_reference_has_no_tests():
    assert significance.rows({("d", "e"): cell(0.5)}, {"metric": "accuracy"}) == []
