"""The gate: what a world must show before methods are compared in it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from histopair.errors import InputError
from histopair.evaluation import gate
from histopair.files import tables

N = 600
RNG = np.random.default_rng(0)


@pytest.fixture
def world():
    """Two attributes decide the class; the retriever sees both, the backbone one of them."""
    shape = RNG.choice(["round", "long"], N)
    size = RNG.uniform(0, 1, N)
    label = np.where((shape == "round") & (size > 0.5), "a", "b")
    split = np.repeat(["train", "val", "test"], [400, 100, 100])
    samples = pd.DataFrame({"split": split, "labels": [[name] for name in label]})
    tiles = pd.DataFrame({"shape": shape, "size": size, "label": label})
    both = np.stack([shape == "round", size, RNG.normal(size=N)], axis=1).astype(float)
    vectors = {"backbone": both[:, [0, 2]], "retriever": both}
    return samples, tiles, label.copy(), vectors, ["shape", "size"]


def test_a_world_whose_retriever_sees_and_finds_passes(world):
    found = gate.judge(*world)
    assert found["reasons"] == []
    assert found["r2"]["shape"] > 0.99 and found["r2"]["size"] > 0.99
    assert found["probes"]["retriever"] > found["probes"]["backbone"]
    assert found["label_accuracy"] == found["report_agreement"] == 1


def test_the_probe_is_a_logistic_regression_on_test(world):
    _, tiles, _, vectors, _ = world
    found = gate.judge(*world)["probes"]["retriever"]
    train, test = slice(0, 400), slice(500, 600)
    model = LogisticRegression(C=100, max_iter=5000).fit(
        vectors["retriever"][train], tiles["label"][train]
    )
    expected = balanced_accuracy_score(
        tiles["label"][test], model.predict(vectors["retriever"][test])
    )
    assert found == pytest.approx(expected, abs=0.03)


def test_each_failing_is_named(world):
    samples, tiles, reports, vectors, decides = world
    blind = {"backbone": vectors["retriever"], "retriever": RNG.normal(size=(N, 3))}
    found = gate.judge(samples, tiles, RNG.permutation(reports), blind, decides)
    said = " | ".join(found["reasons"])
    assert "hardly sees shape" in said and "hardly sees size" in said
    assert "below that of the backbone" in said and "from chance to the tile's class" in said


def test_chance_is_the_agreement_of_two_tiles_drawn_at_random(world):
    tiles = world[1]
    share = (tiles["label"][:400] == "a").mean()
    assert gate.judge(*world)["chance"] == pytest.approx(share**2 + (1 - share) ** 2)


def test_noise_in_the_labels_is_told(world):
    samples, *rest = world
    wrong = samples.copy()
    wrong.loc[:99, "labels"] = pd.Series(
        [["b" if row[0] == "a" else "a"] for row in samples["labels"][:100]]
    )
    assert gate.judge(wrong, *rest)["label_accuracy"] == pytest.approx(0.75)


def test_a_truth_that_decides_nothing_is_one_clear_line(tmp_path):
    tables.write(tmp_path / "l", pd.DataFrame({"split": []}), {})
    tables.write(tmp_path / "t", pd.DataFrame({"path": []}), {})
    with pytest.raises(InputError, match="does not say which attributes decide"):
        gate.write(tmp_path / "l", tmp_path / "t", "", {}, "", "", {})
