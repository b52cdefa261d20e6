"""Pairing quality: hand-computed hubness and agreement, chance by enumeration, a published case."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from histopair.errors import InputError
from histopair.files import tables
from histopair.retrieval import agreement, pairing_quality

AUTHORS = Path(__file__).parents[2] / "shared/real/reports"


def test_hubness_by_hand():
    found = pairing_quality.hubness(np.array([1, 6, 3]), reports=12)
    assert (found["images"], found["reports"], found["used"]) == (10, 12, 3)
    assert found["coverage"] == 0.25 and found["top10_share"] == 1
    assert found["usage_curve"] == {"reports": [1, 2, 3], "images": [0.6, 0.9, 1.0]}


def test_top_ten_are_the_ten_most_used():
    uses = np.array([1] * 20 + [5] * 10)
    assert pairing_quality.hubness(uses, reports=30)["top10_share"] == pytest.approx(50 / 70)


def test_random_pairing_is_expected_to_be_even():
    found = pairing_quality.hubness(np.full(100, 100), reports=100)["expected"]
    assert found["coverage"] == 1 and 0.1 < found["top10_share"] < 0.13


def test_gini_is_half_the_relative_mean_difference():
    uses = np.array([0, 2, 7, 1, 0])
    by_hand = np.abs(uses[:, None] - uses).mean() / (2 * uses.mean())
    assert pairing_quality.gini(np.array([7, 1, 2]), 5) == pytest.approx(by_hand)
    assert pairing_quality.gini(np.full(4, 9), 4) == 0
    assert pairing_quality.gini(np.array([100]), 100) == pytest.approx(0.99)


@pytest.mark.parametrize("split, used, share", [("train", 299, 0.705), ("test", 176, 0.725)])
def test_hubness_of_the_authors_own_pairing(split, used, share):
    path = AUTHORS / f"clipit_pcam_{split}_indexes.npy"
    if not path.exists():
        pytest.skip("../shared/real is not here: the CLIP-IT authors' PCAM pairing")
    _, uses = np.unique(np.load(path, allow_pickle=False), return_counts=True)
    found = pairing_quality.hubness(uses, reports=1089)
    assert found["used"] == used
    assert found["top10_share"] == pytest.approx(share, abs=5e-4)
    assert found["expected"]["top10_share"] < 0.02
    assert found["gini"] > 0.9 > 0.15 > found["expected"]["gini"]
    assert pairing_quality.skewness(list(uses), 1089) > 5


def test_skewness_counts_unused_reports():
    assert pairing_quality.skewness([4], 4) == pytest.approx(2 / np.sqrt(3))  # of 4, 0, 0, 0
    assert pairing_quality.skewness([3, 3], 2) is None


def test_histogram_leaves_out_empty_ends_and_keeps_every_image():
    found = pairing_quality.similarity(np.array([0.115, 0.13, 0.13, 0.185, 1.0]))
    edges, counts = found["histogram"]["edges"], found["histogram"]["counts"]
    assert sum(counts) == 5 and counts[0] == 1 and counts[-1] == 1
    assert len(edges) == len(counts) + 1 and edges[0] == pytest.approx(0.11)
    assert found["mean"] == pytest.approx(0.312)


@pytest.mark.parametrize("seed", range(3))
def test_mean_distance_equals_the_mean_over_all_pairs(seed):
    random = np.random.default_rng(seed)
    a, pool = random.integers(0, 5, 7).astype(float), np.sort(random.random(11) * 5)
    expected = np.mean([abs(x - y) for x, y in itertools.product(a, pool)])
    assert agreement.mean_distance(a, pool) == pytest.approx(expected)


TILES = pd.DataFrame(
    {
        "path": ["a.png", "b.png", "c.png"],
        "label": ["x", "y", "x"],
        "split": ["train"] * 3,
        "organ": ["colon", "colon", "breast"],
        "grade": [1, 2, 3],
        "mucin": [0.0, 0.5, None],
        "only_tiles": [1, 2, 3],
    }
)
REPORTS = pd.DataFrame(
    {
        "report_id": ["r1", "r2", "elsewhere"],
        "group": ["p1", "p2", "p3"],
        "organ": ["colon", "breast", "breast"],
        "grade": [1, 3, 1],
        "mucin": [0.0, 1.0, 0.0],
    }
)


def test_attribute_agreement_by_hand():
    images = pd.DataFrame({"path": TILES["path"], "report_id": ["r1", "r2", "r2"]})
    found = agreement.attribute_agreement(images, ["r1", "r2"], TILES, REPORTS)
    assert list(found) == ["organ", "grade", "mucin"]
    assert found["organ"] == {
        "observed": pytest.approx(2 / 3),
        "chance": pytest.approx(1 / 2),
    }
    assert found["grade"]["observed"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert found["grade"]["chance"] == pytest.approx((0.5 + 0.5 + 0.5) / 3)
    assert found["mucin"]["observed"] == pytest.approx((1 + 0.5) / 2)  # the third is unknown
    assert found["mucin"]["chance"] == pytest.approx((0.5 + 0.5) / 2)


def write_world(folder, report_of=("r1", "r2", "r1"), k=2):
    labels = pd.DataFrame(
        {
            "sample_id": ["a0", "a1", "b", "c"],
            "image_id": ["a", "a", "b", "c"],
            "path": ["a.png", "a.png", "b.png", "c.png"],
            "labels": [["x"], ["x"], ["y"], ["y"]],
        }
    )
    other = {"r1": "r2", "r2": "r1"}
    rows = []
    for image, report in zip("abc", report_of, strict=True):
        rows += [(image, 1, report, 0, 0.5), (image, 2, other.get(report, "r1"), 0, 0.4)][:k]
    pairs = pd.DataFrame(rows, columns=["image_id", "rank", "report_id", "chunk", "similarity"])
    reports = pd.DataFrame(
        {
            "report_id": ["r1", "r1", "r2", "r3", "r4"],
            "chunk": [0, 1, 0, 0, 0],
            "text": ["Colon.", "Invasive CARCINOMA", "normal", "carcinoma", "unrelated"],
        }
    )
    for name, table in (("labels", labels), ("pairs", pairs), ("reports", reports)):
        tables.write(folder / f"{name}.parquet", table, {"classes": ["x", "y"]})
    return [folder / f"{name}.parquet" for name in ("pairs", "labels", "reports")]


def quality(folder, *paths, **options):
    pairing_quality.write_quality(*paths, folder / "q.json", **options)
    return tables.read_json(folder / "q.json")


def test_class_agreement_by_regular_expression(tmp_path):
    match = {"x": "carcinoma", "y": "normal"}
    found = quality(tmp_path, *write_world(tmp_path), match=match)["class_agreement"]
    assert found["images"] == 3  # a is one image of two samples
    assert found["observed"] == pytest.approx(2 / 3)  # c is y, its report r1 is a carcinoma
    assert found["chance"] == pytest.approx((2 / 4 + 1 / 4 + 1 / 4) / 3)
    assert found["by_class"]["y"] == {"observed": 0.5, "chance": 0.25, "images": 2}


def test_a_pattern_for_no_class_is_one_line(tmp_path):
    paths = write_world(tmp_path)
    with pytest.raises(InputError, match=r"match: 'X' is no class .*did you mean 'x'\?.*'x', 'y'"):
        quality(tmp_path, *paths, match={"X": "carcinoma"})


def test_the_retrieved_chunk_is_judged_by_itself(tmp_path):
    found = quality(tmp_path, *write_world(tmp_path), match={"x": "carcinoma", "y": "normal"})
    text = found["text_agreement"]  # chunk 0 of r1 says "Colon.", the carcinoma is in chunk 1
    assert text["by_class"]["x"] == {"observed": 0, "chance": pytest.approx(2 / 5), "images": 1}
    assert text["by_class"]["y"] == {"observed": 0.5, "chance": pytest.approx(1 / 5), "images": 2}


def test_class_agreement_leaves_out_classes_without_a_pattern(tmp_path):
    found = quality(tmp_path, *write_world(tmp_path), match={"x": "carcinoma"})
    assert found["class_agreement"]["images"] == 1
    assert found["class_agreement"]["observed"] == 1


def test_class_agreement_by_true_labels_of_the_reports(tmp_path):
    paths = write_world(tmp_path)
    truth = pd.DataFrame({"report_id": ["r1", "r2", "r3", "r4"], "label": ["x", "y", "y", "z"]})
    tables.write(tmp_path / "truth.parquet", truth, {})
    found = quality(tmp_path, *paths, report_truth=tmp_path / "truth.parquet")["class_agreement"]
    assert found["observed"] == pytest.approx(2 / 3)
    assert found["chance"] == pytest.approx((1 / 4 + 2 / 4 + 2 / 4) / 3)


def test_reports_without_a_label_have_that_of_images_of_their_entity(tmp_path):
    paths = write_world(tmp_path)
    entities = {"report_id": ["r1", "r2", "r3", "r4"], "entity": ["one", "two", "two", "none"]}
    tables.write(tmp_path / "truth.parquet", pd.DataFrame(entities), {})
    tiles = pd.DataFrame(
        {"path": ["a.png", "b.png"], "entity": ["one", "two"], "label": ["x", "y"]}
    )
    tables.write(tmp_path / "tiles.parquet", tiles, {})
    truths = {
        "image_truth": tmp_path / "tiles.parquet",
        "report_truth": tmp_path / "truth.parquet",
    }
    found = quality(tmp_path, *paths, **truths)["class_agreement"]
    assert found["observed"] == pytest.approx(2 / 3)
    assert found["chance"] == pytest.approx((1 / 4 + 2 / 4 + 2 / 4) / 3)


def test_the_margin_is_of_what_ranks_and_the_making_is_taken_over(tmp_path):
    paths = write_world(tmp_path)
    pairs = tables.read(paths[0]).assign(score=[0.9, 0.2] * 3)
    made = {"search": {"index": "exact"}, "correction": {"kind": "csls"}}
    tables.write(paths[0], pairs, made)
    found = quality(tmp_path, *paths)
    assert found["margin"]["mean"] == pytest.approx(0.7)
    assert found["similarity"]["mean"] == pytest.approx(0.5)
    assert {key: found[key] for key in made} == made


def test_a_random_pairing_agrees_as_often_as_chance_says(tmp_path):
    random = np.random.default_rng(0)
    ids = [f"r{i}" for i in range(30)]
    truth = pd.DataFrame({"report_id": ids, "label": random.choice(["x", "y"], 30, p=[0.8, 0.2])})
    labels = pd.Series([[label] for label in random.choice(["x", "y"], 4000)])
    fits = agreement.by_truth(ids, truth)
    found = agreement.class_agreement(labels, random.integers(0, 30, 4000), fits)
    assert found["observed"] == pytest.approx(found["chance"], abs=0.03)


def test_without_truth_or_patterns_agreement_is_null(tmp_path):
    found = quality(tmp_path, *write_world(tmp_path))
    assert found["class_agreement"] is None and found["attribute_agreement"] is None
    assert found["margin"]["mean"] == pytest.approx(0.1)


def test_one_report_per_image_has_no_margin(tmp_path):
    found = quality(tmp_path, *write_world(tmp_path, k=1))
    assert found["margin"] == {"mean": None, "std": None}


def test_truth_of_both_sides_gives_attribute_agreement(tmp_path):
    paths = write_world(tmp_path)
    for name, table in (("tiles", TILES), ("texts", REPORTS)):
        tables.write(tmp_path / f"{name}.parquet", table, {})
    truths = {
        "image_truth": tmp_path / "tiles.parquet",
        "report_truth": tmp_path / "texts.parquet",
    }
    found = quality(tmp_path, *paths, **truths)["attribute_agreement"]
    assert set(found) == {"organ", "grade", "mucin"}
    assert found["organ"]["observed"] == pytest.approx(1 / 3)  # only a: colon with r1


def test_pairs_with_reports_of_another_corpus_are_refused(tmp_path):
    paths = write_world(tmp_path, report_of=("r1", "r9", "r1"))
    with pytest.raises(InputError, match="r9"):
        quality(tmp_path, *paths)


def test_a_pattern_that_does_not_compile_is_named(tmp_path):
    with pytest.raises(InputError, match="class x is not a regular expression"):
        quality(tmp_path, *write_world(tmp_path), match={"x": "(carcinoma"})


def test_reading_in_small_batches_changes_nothing(tmp_path, monkeypatch):
    paths = write_world(tmp_path)
    whole = quality(tmp_path, *paths)
    real = pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile,
        "iter_batches",
        lambda self, **options: real(self, batch_size=1, **options),
    )
    assert quality(tmp_path, *paths) == whole
