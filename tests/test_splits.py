"""Splits: nothing crosses, shares and classes are kept, order does not matter."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histopair.datasets import grouping, splits
from histopair.plan import schema


def _frame(groups, labels=None, shas=None, official=None) -> pd.DataFrame:
    n = len(groups)
    names = [f"tile {i:04}" for i in range(n)]
    return pd.DataFrame(
        {
            "sample_id": names,
            "image_id": names,
            "group": pd.Series(list(groups), dtype=object),
            "sha256": shas or [f"sha {i}" for i in range(n)],
            "labels": labels or [["a"] for _ in range(n)],
            "split": pd.Series(official or [None] * n, dtype=object),
        }
    )


@st.composite
def frames(draw):
    n = draw(st.integers(1, 80))
    groups = draw(st.lists(st.none() | st.sampled_from("ABCDEFGHIJ"), min_size=n, max_size=n))
    shas = draw(st.lists(st.integers(0, 60).map(str), min_size=n, max_size=n))
    labels = draw(
        st.lists(
            st.lists(st.sampled_from("xyz"), min_size=1, max_size=3, unique=True),
            min_size=n,
            max_size=n,
        )
    )
    return _frame(groups, labels, shas)


@given(frames(), st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_neither_group_nor_image_crosses_splits(frame, seed):
    frame = frame.assign(split=splits.assign(frame, seed=seed))
    assert frame.split.isin(["train", "val", "test"]).all()
    assert splits.leaks(frame) == {"group": 0, "sha256": 0}


@given(frames(), st.integers(0, 5), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("by", splits.BY)
def test_the_order_of_rows_does_not_matter(by, frame, seed, random):
    order = list(range(len(frame)))
    random.shuffle(order)
    plain = splits.assign(frame, by=by, seed=seed)
    shuffled = splits.assign(frame.iloc[order].reset_index(drop=True), by=by, seed=seed)
    assert plain.iloc[order].tolist() == shuffled.tolist()


@given(
    st.lists(st.integers(1, 3), min_size=80, max_size=160),
    st.sampled_from([(0.2, 0.1), (0.1, 0.1), (0.3, 0.2), (0.2, 0)]),
    st.integers(0, 9),
)
@settings(max_examples=40, deadline=None)
def test_small_groups_give_the_asked_shares_of_each_class(sizes, shares, seed):
    groups = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    labels = [["rare"] if int(g[1:]) % 4 == 0 else ["common"] for g in groups]
    frame = _frame(groups, labels)
    frame["split"] = splits.assign(frame, test=shares[0], val=shares[1], seed=seed)
    for label in ("rare", "common"):
        part = frame.split[[names == [label] for names in frame.labels]]
        for name, share in zip(("test", "val"), shares, strict=True):
            assert abs((part == name).sum() - share * len(part)) <= 3  # the largest group


def test_seeds_differ_and_repeat():
    frame = _frame([f"g{i}" for i in range(100)])
    first, again, other = (splits.assign(frame, seed=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_shared_images_join_groups_into_one_component():
    frame = _frame(["A", "A", "B", "C", None], shas=["1", "2", "2", "3", "3"])
    parts = splits.components(frame)
    assert parts[0] == parts[1] == parts[2]
    assert parts[3] == parts[4] != parts[0]


def test_a_named_group_is_not_confused_with_an_unnamed_image():
    assert len(set(splits.components(_frame(["tile 0001", None])))) == 2


def test_official_test_stays_and_validation_is_carved_from_train_by_group():
    groups = [f"g{i // 2}" for i in range(100)]
    official = ["train"] * 80 + ["test"] * 20
    frame = _frame(groups, official=official)
    frame["split"] = splits.assign(frame, val=0.1)
    assert frame.split[80:].eq("test").all()
    assert frame.split.value_counts().to_dict() == {"train": 72, "test": 20, "val": 8}
    assert splits.leaks(frame)["group"] == 0


def test_complete_official_splits_are_kept_even_where_they_leak():
    official = ["train", "val", "test"]
    frame = _frame(["A", "A", "A"], official=official)
    assert splits.assign(frame).tolist() == official
    assert splits.leaks(frame)["group"] == 1


def test_official_train_and_val_get_a_test_from_train():
    frame = _frame([f"g{i}" for i in range(50)], official=["train"] * 40 + ["val"] * 10)
    split = splits.assign(frame, test=0.25)
    assert split[40:].eq("val").all()
    assert (split == "test").sum() == 10


def test_by_row_gives_exact_shares_and_ignores_groups_and_official_splits():
    frame = _frame(["A"] * 100, official=["train"] * 100)
    split = splits.assign(frame, by="row", test=0.2, val=0.1)
    assert split.value_counts().to_dict() == {"train": 70, "test": 20, "val": 10}


def test_by_val_row_the_test_split_stays_and_groups_cross_into_validation():
    frame = _frame([f"g{i // 8}" for i in range(80)])
    by_group, by_row = (splits.assign(frame, by=by) for by in ("group", "val-row"))
    assert ((by_group == "test") == (by_row == "test")).all()
    assert by_row.value_counts().to_dict() == by_group.value_counts().to_dict()
    assert splits.leaks(frame.assign(split=by_group))["group"] == 0
    assert splits.leaks(frame.assign(split=by_row))["group"] > 0


def test_three_groups_per_class_reach_every_split():
    groups = [f"{label}{i}" for label in "ab" for i in range(3) for _ in range(10)]
    frame = _frame(groups, [[group[0]] for group in groups])
    split = splits.assign(frame, test=0.2, val=0.1)
    seen = {(group[0], part) for group, part in zip(groups, split, strict=True)}
    assert seen == {(label, part) for label in "ab" for part in ("train", "val", "test")}


def test_a_giant_group_goes_to_train():
    groups = ["giant"] * 60 + [f"g{i}" for i in range(40)]
    for seed in range(5):
        frame = _frame(groups)
        frame["split"] = splits.assign(frame, seed=seed)
        assert frame.split[0] == "train"
        assert frame.split.value_counts().to_dict() == {"train": 70, "test": 20, "val": 10}


def test_an_image_without_a_group_is_one_even_if_a_group_has_its_name():
    group = pd.Series(["b", None, "a", None, "b", None])
    image = pd.Series(["x", "b", "x", "a", "y", "b"])
    assert grouping.numbers(group, image).tolist() == [7, 1, 6, 0, 7, 1]


def test_the_schema_allows_what_splits_can_do():
    allowed = schema.read()["properties"]["datasets"]["additionalProperties"]["properties"]
    assert allowed["split"]["properties"]["by"]["enum"] == list(splits.BY)


@pytest.mark.parametrize(
    ("by", "official", "words"),
    [
        ("group", [], "split by group"),
        ("group", ["train", "val", "test"], "split as published"),
        ("group", ["test"], "split as published (test), the rest: split by group"),
        ("row", ["train", "test"], "random split of rows"),
        ("val-row", [], "validation of random rows"),
    ],
)
def test_a_page_says_how_a_dataset_was_split(by, official, words):
    assert splits.in_words(by, official) == words
