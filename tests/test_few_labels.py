"""Few labels: which samples count, and what methods may still learn from the others."""

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from histopair.datasets import few_labels
from histopair.files import tables
from histopair.training import one_run

CLASSES = ("a", "b", "c")


def samples(labels, groups=None) -> pd.DataFrame:
    names = [f"s{i}" for i in range(len(labels))]
    groups = groups or [None] * len(labels)
    return pd.DataFrame({"sample_id": names, "image_id": names, "group": groups, "labels": labels})


@st.composite
def drawn(draw):
    """Up to 40 samples of up to 3 classes each, in up to 5 groups or in none."""
    several = st.lists(st.sampled_from(CLASSES), min_size=1, max_size=3, unique=True)
    labels = draw(st.lists(several, min_size=1, max_size=40))
    group = st.sampled_from(["p0", "p1", "p2", "p3", "p4", None])
    return samples(labels, draw(st.lists(group, min_size=len(labels), max_size=len(labels))))


@given(drawn(), st.integers(0, 5))
def test_more_labels_add_to_fewer_and_no_class_is_short(table, seed):
    before = np.zeros(len(table), bool)
    for most in (1, 2, 5, 40):
        chosen = few_labels.labelled(table, most, seed)
        assert (chosen | ~before).all()
        for name in CLASSES:
            members = table["labels"].map(lambda labels, name=name: name in labels).to_numpy()
            assert (chosen & members).sum() >= min(most, members.sum())
        before = chosen
    assert before.all()


@given(drawn(), st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(table, seed, shuffle):
    order = list(range(len(table)))
    shuffle.shuffle(order)
    again = few_labels.ranks(table.iloc[order], seed)
    np.testing.assert_array_equal(again, few_labels.ranks(table, seed)[order])


def test_each_class_has_exactly_k_if_a_sample_has_one():
    table = samples([["a"]] * 9 + [["b"]] * 7)
    chosen = few_labels.labelled(table, 3, 0)
    assert (chosen[:9].sum(), chosen[9:].sum()) == (3, 3)


def test_labels_come_from_as_many_patients_as_possible():
    """p0 has 20 of 23 samples; four labels are of four patients whatever is drawn."""
    table = samples([["a"]] * 23, ["p0"] * 20 + ["p1", "p2", "p3"])
    for seed in range(20):
        assert table["group"][few_labels.labelled(table, 4, seed)].nunique() == 4


def test_another_seed_draws_other_labels():
    table = samples([["a"]] * 50)
    draws = {tuple(few_labels.labelled(table, 5, seed)) for seed in range(10)}
    assert len(draws) == 10


@pytest.fixture
def run(tmp_path):
    """A run of a dataset of two classes whose labels are few: one of each."""
    path = tiny.dataset(tmp_path / "data", n=24)
    table, about = tables.read(path), tables.about(path)
    tables.write(path, table, about | {"labels_per_class": 1})
    parts = {"encoder_entry": {}, "retriever_entry": None, "method": {}, "seed": 0}
    return one_run.Run(
        artifacts={"labels": str(path)},
        root="",
        device=torch.device("cpu"),
        image_cache_mb=0,
        **parts,
    )


def test_a_run_sees_few_labels_in_train_and_val_and_all_of_test(run):
    whole = {name: int((run.samples["split"] == name).sum()) for name in ("train", "val", "test")}
    assert len(run.rows("train")) == len(run.rows("val")) == 2
    assert len(run.rows("test")) == whole["test"] > 2
    assert len(run.rows("train", labelled=False)) == whole["train"] > 2
    assert set(run.samples["labels"].iloc[run.rows("train").numpy()].str[0]) == set(run.classes)
