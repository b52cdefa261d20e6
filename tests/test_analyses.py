"""Analyses of a study: tables by hand, spectra of known matrices, operations by hand, pages."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import silhouette_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from histopair.analyses import (
    analysis_figures,
    complementarity,
    distillation,
    outputs,
    separability,
    tradeoff,
    tsne,
)
from histopair.analyses.timing import interleaved
from histopair.errors import InputError
from histopair.files import tables

CLASSES = ["a", "b"]
PAIR = {"vision": "vision", "text": "text"}
# Six test samples of three groups, all of class a, and who is right on them.
VISION = [[1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0]]
TEXT = [[1, 0, 0, 1, 1, 0], [1, 1, 1, 1, 0, 0]]


def predictions(folder, name, right, task="single"):
    """A run's predictions: class a, with more of the score on it where the run is right."""
    scores = np.array([[0.9, 0.1] if yes else [0.2, 0.8] for yes in right])
    n = len(right)
    ids = [f"s{i}" for i in range(n)]
    table = pa.table({"sample_id": ids, "split": ["test"] * n, "labels": [["a"]] * n})
    path = folder / f"{name}.parquet"
    tables.write(
        path,
        table.append_column("scores", tables.vectors(scores)),
        {"task": task, "classes": CLASSES},
    )
    return str(path)


@pytest.fixture
def compared(tmp_path):
    """The runs of two methods and seeds, and the labels of their dataset."""
    samples = pd.DataFrame({"sample_id": [f"s{i}" for i in range(6)], "group": list("xxyyzz")})
    labels = tmp_path / "labels.parquet"
    tables.write(labels, samples.assign(image_id=samples["sample_id"]), {})
    runs = [
        {"dataset": "d", "column": "e", "method": method, "seed": seed}
        | {"predictions": predictions(tmp_path, f"{method}{seed}", right)}
        for method, seeds in (("vision", VISION), ("text", TEXT))
        for seed, right in enumerate(seeds)
    ]
    return runs, {"d": labels}


def test_the_four_cells_are_counted_per_seed(compared):
    table = complementarity.tabulate(*compared, PAIR).set_index("cell")
    assert table["counts"].to_dict() == {
        "both": "1;2",
        "vision alone": "2;0",
        "text alone": "2;2",
        "neither": "1;2",
    }
    assert table.loc["vision alone", "share"] == pytest.approx(1 / 6)
    assert table.loc["vision alone", "std"] == pytest.approx(np.std([2 / 6, 0], ddof=1))
    assert table.loc["text alone", "std"] == 0
    assert table["share"].sum() == pytest.approx(1)
    # Accuracies of vision 3/6 and 2/6, of text 3/6 and 4/6.
    independent = (1 / 2 * 1 / 2 + 2 / 3 * 2 / 3) / 2
    assert table.loc["text alone", "independent"] == pytest.approx(independent)
    assert (table["low"] <= table["share"]).all() and (table["share"] <= table["high"]).all()


def test_intervals_resample_groups(compared):
    """Text alone is right on no, one and half of the groups' samples: it cannot leave them."""
    table = complementarity.tabulate(*compared, PAIR).set_index("cell")
    by_group = np.array([0, 1.5, 0.5]) / 2
    assert by_group.min() <= table.loc["text alone", "low"]
    assert table.loc["text alone", "high"] <= by_group.max()
    assert table["n_groups"].eq(3).all()


def test_a_method_with_one_seed_stands_beside_each_of_the_other(compared):
    runs, labels = compared
    alone = [run for run in runs if run["method"] == "vision" or run["seed"] == 0]
    table = complementarity.tabulate(alone, labels, PAIR).set_index("cell")
    assert table.loc["text alone", "counts"] == "2;2"
    assert table.loc["both", "counts"] == "1;1"


def test_multi_label_and_other_samples_are_refused(compared, tmp_path):
    runs, labels = compared
    for right, task, words in ((TEXT[0], "multi", "one label"), ([1, 1], "single", "differ")):
        bad = predictions(tmp_path, "bad", right, task)
        with pytest.raises(InputError, match=words):
            complementarity.tabulate([*runs[:2], runs[2] | {"predictions": bad}], labels, PAIR)


@pytest.mark.parametrize("d", [1, 4, 9])
def test_the_effective_rank_of_the_identity_is_its_size(d):
    assert separability.effective_rank(3 * np.eye(d)) == pytest.approx(d)


def test_the_effective_rank_of_a_collapsed_teacher_is_one():
    collapsed = np.tile([0.6, 0.8, 0.0], (50, 1))
    assert separability.effective_rank(collapsed) == pytest.approx(1)
    assert separability.alikeness(collapsed) == pytest.approx(1)


def test_the_effective_rank_of_two_directions_is_the_entropy_of_their_weights():
    p = np.array([0.75, 0.25])
    assert separability.effective_rank(np.diag([3.0, 1.0])) == pytest.approx(
        np.exp(-(p * np.log(p)).sum())
    )


@settings(max_examples=25, deadline=None)
@given(arrays(int, st.tuples(st.integers(2, 6), st.integers(1, 5)), elements=st.integers(-9, 9)))
def test_the_effective_rank_is_at_most_the_rank_and_scale_free(matrix):
    found = separability.effective_rank(matrix)
    assert found <= np.linalg.matrix_rank(matrix) + 1e-6
    assert separability.effective_rank(2 * matrix) == pytest.approx(found)


def test_shuffled_cosines_are_the_mean_over_all_other_pairs():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 7, 4))
    table = tables.unit(a) @ tables.unit(b).T
    paired, shuffled = separability.cosines(a, b)
    assert paired == pytest.approx(np.diag(table).mean(), abs=1e-6)
    assert shuffled == pytest.approx(table[~np.eye(7, dtype=bool)].mean(), abs=1e-6)


def test_nearest_neighbours_and_silhouette_are_scikit_learns():
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 3, 60)
    vectors = tables.unit(rng.normal(size=(60, 5)) + 2 * np.eye(5)[classes])
    nearest = KNeighborsClassifier(5, metric="cosine", algorithm="brute")
    predicted = cross_val_predict(nearest, vectors, classes, cv=LeaveOneOut())
    assert separability.knn_accuracy(vectors, classes) == (predicted == classes).mean()
    expected = silhouette_score(vectors, classes, metric="cosine")
    assert separability.silhouette(vectors, classes) == pytest.approx(expected)


def test_what_cannot_be_separated_has_no_figure():
    assert separability.knn_accuracy(np.eye(4), np.zeros(4, int)) is None
    assert separability.silhouette(np.eye(4), np.zeros(4, int)) is None


@pytest.fixture
def represented(tmp_path):
    """A run whose predicted embeddings are the frozen texts, and whose teacher has collapsed."""
    texts = np.array([3, 3, 5, 8, 8, 8, 9, 10])
    frozen = np.eye(6)[np.searchsorted(np.unique(texts), texts)]
    table = pa.table(
        {
            "sample_id": [f"s{i}" for i in range(8)],
            "split": ["test"] * 8,
            "labels": [["a"], ["b"], ["b"], ["a"], ["b"], ["b"], ["a"], ["a"]],
            "text": texts,
        }
    )
    collapsed = np.tile(np.eye(6)[:1], (8, 1))
    for name, array in (
        ("features", np.random.default_rng(0).normal(size=(8, 3))),
        ("predicted", frozen),
        ("frozen", frozen),
        ("trained", collapsed),
    ):
        table = table.append_column(name, tables.vectors(array.astype(np.float16)))
    path = tmp_path / "representations.parquet"
    tables.write(path, table, {"task": "single", "classes": CLASSES})
    run = {"dataset": "d", "column": "e", "method": "m", "seed": 0, "lora": True}
    return [run | {"representations": str(path)}]


def test_a_collapsed_teacher_is_seen_beside_the_frozen_one(represented):
    frozen, trained = distillation.tabulate(represented).to_dict("records")
    assert (frozen["teacher"], frozen["n_texts"]) == ("frozen", 5)
    assert frozen["similarity"] == pytest.approx(1)
    # 28 pairs, of which one is of text 3 with itself and three of text 8.
    assert frozen["shuffled"] == pytest.approx(4 / 28)
    assert frozen["rank"] == pytest.approx(5)
    assert frozen["alikeness"] == pytest.approx(0, abs=1e-6)
    assert trained["rank"] == pytest.approx(1)
    assert trained["alikeness"] == pytest.approx(1)
    assert trained["similarity"] - trained["shuffled"] == pytest.approx(0, abs=1e-6)


def test_a_text_is_one_point_of_its_images_most_frequent_class(represented):
    joint, frozen, trained = tsne.clouds(represented)
    assert joint.vectors.shape == (8, 9)
    np.testing.assert_array_equal(frozen.numbers, [0, 1, 1, 0, 0])
    assert trained.place["what"] == tsne.TRAINED
    assert tsne.tabulate([frozen])["majority"].item() == pytest.approx(3 / 5)


def test_texts_that_no_training_touched_are_shown_once(represented):
    other = represented[0] | {"method": "other"}
    assert len(tsne.clouds([*represented, other])) == 3
    path = represented[0]["representations"]
    table, frozen = pq.read_table(path), tables.vectors(tables.matrix(path, "frozen"))
    place = table.schema.get_field_index("trained")
    tables.write(path, table.set_column(place, "trained", frozen), tables.about(path))
    assert [cloud.place["what"] for cloud in tsne.clouds(represented)] == [tsne.JOINT, tsne.FROZEN]


def test_pictures_are_the_same_each_time_even_of_points_that_are_all_alike(represented):
    joint, _, trained = tsne.clouds(represented)
    np.testing.assert_array_equal(tsne.picture(joint.vectors), tsne.picture(joint.vectors))
    assert np.isfinite(tsne.picture(trained.vectors)).all()
    assert tsne.picture(np.eye(2)).shape == (2, 2)


def test_large_test_splits_are_drawn_from():
    drawn = tsne._drawn(10 * tsne.POINTS)
    assert len(np.unique(drawn)) == tsne.POINTS
    assert (np.diff(drawn) > 0).all()


def costs():
    """Two methods and a variant that pays more."""
    rows = [("slow", "as exported", 9.0), ("fast", "as exported", 1.0), ("fast", "worse", 3.0)]
    table = pd.DataFrame(rows, columns=["method", "variant", "latency_ms"])
    table = table.assign(encoder="e", own_encoder="", parameters=10, trained_parameters=2)
    return table.assign(gflops=table["latency_ms"] / 10, images_per_second=5, device="<x>")


def test_the_front_is_what_nothing_beats():
    cost, value = np.array([1.0, 2.0, 3.0, 1.0]), np.array([0.5, 0.9, 0.8, 0.4])
    np.testing.assert_array_equal(tradeoff.front(cost, value), [0, 1])


def test_a_method_with_an_encoder_of_its_own_is_drawn_with_that_ones_mark(monkeypatch):
    shown = costs().assign(dataset="d", metric="accuracy", value=0.9, synthetic=False)
    shown.loc[shown["method"] == "slow", "own_encoder"] = "clip"
    drawn = []
    monkeypatch.setattr(analysis_figures, "_keys", lambda *told: drawn.append(told[-1]))
    assert "<svg" in analysis_figures.pareto(shown)
    assert list(drawn[0]) == ["clip", "e"] and len(set(drawn[0].values())) == 2


def test_interleaved_medians_take_turns_and_stop_in_time():
    seen = []
    medians = interleaved(
        {"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 50, seconds=0
    )
    assert seen == ["a", "b"] * 4
    assert set(medians) == {"a", "b"}


def test_the_page_names_the_phantom_and_escapes_what_data_says(compared, represented, tmp_path):
    found = tsne.clouds(represented)
    shown = costs().assign(dataset="d", metric="accuracy", value=[0.9, 0.8, 0.8], overhead=0.1)
    runs = [run | {"column": "<i>e</i>"} for run in compared[0]]
    made = {
        "complementarity": (
            complementarity.tabulate(runs, compared[1], PAIR),
            analysis_figures.complementarity,
        ),
        "distillation": (distillation.tabulate(represented), analysis_figures.distillation),
        "tsne": (
            tsne.tabulate(found),
            lambda table: analysis_figures.clouds(
                found, [cloud.vectors[:, :2] for cloud in found], table
            ),
        ),
        "cost": (shown.assign(threads=1), analysis_figures.pareto),
    }
    files = {}
    for name, (table, draw) in made.items():
        out = SimpleNamespace(table=tmp_path / f"{name}.csv", svg=tmp_path / f"{name}.svg")
        outputs.write(table, draw, "study", ["d"], out)
        files[name] = (out.table, out.svg)
    study = {"title": "A & B"}
    outputs.write_page("study", study, files, tmp_path / "outputs.html")
    html = (tmp_path / "outputs.html").read_text(encoding="utf-8")
    assert "<title>Analyses: A &amp; B — phantom (synthetic)<" in html
    assert "<i>" not in html and "<x>" not in html
    assert html.count('class="badge"') > len(made)
    for words in ("text alone", "Effective rank", "Silhouette", "GFLOPs"):
        assert words in html
    assert "One image, models of d" in html and "in all panels" not in html


def test_costs_of_the_first_dataset_beside_a_metric_of_another_are_said_to_be(tmp_path):
    parts = [costs().assign(dataset=name, metric="accuracy", value=0.9) for name in ("d", "e")]
    out = SimpleNamespace(table=tmp_path / "cost.csv", svg=tmp_path / "cost.svg")
    table = pd.concat(parts).assign(overhead=0.1, threads=1)
    outputs.write(table, analysis_figures.pareto, "study", [], out)
    outputs.write_page("study", {}, {"cost": (out.table, out.svg)}, tmp_path / "page.html")
    assert "those of the models of d, in all panels" in " ".join(
        (tmp_path / "page.html").read_text().split()
    )
