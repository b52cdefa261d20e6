"""Pairing is exact: the same reports as brute force, in the same order."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histopair import retrieve, tables
from histopair.errors import InputError


def write_vectors(path, keys: dict, vectors):
    table = pa.table(keys).append_column("embedding", tables.vectors(vectors.astype(np.float16)))
    tables.write(path, table, {})


def world(folder, seed=0, n=50, reports=12, d=8):
    rng = np.random.default_rng(seed)
    chunks = rng.integers(1, 5, reports)
    ids = [f"r{i}" for i, m in enumerate(chunks) for _ in range(m)]
    numbers = [c for m in chunks for c in range(m)]
    images, texts = rng.normal(size=(n, d)), rng.normal(size=(len(ids), d)) * 30
    write_vectors(folder / "i.parquet", {"image_id": [f"i{i}" for i in range(n)]}, images)
    write_vectors(
        folder / "t.parquet", {"report_id": ids, "chunk": pa.array(numbers, pa.int32())}, texts
    )
    return folder / "i.parquet", folder / "t.parquet"


def brute(images, texts, pool):
    rows = tables.read(texts, ["report_id", "chunk"])
    vectors = tables.matrix(texts, normalise=True).astype(np.float64)
    queries = tables.matrix(images, normalise=True).astype(np.float64)
    if pool == "mean":
        means = pd.DataFrame(vectors).groupby(rows["report_id"]).mean()
        unit = means.to_numpy() / np.linalg.norm(means, axis=1, keepdims=True)
        return pd.DataFrame(queries @ unit.T, columns=means.index)
    return pd.DataFrame(queries @ vectors.T, columns=rows["report_id"]).T.groupby(level=0).max().T


@pytest.mark.parametrize("pool", ["max", "mean"])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_k_best_reports_are_those_of_brute_force(tmp_path_factory, pool, seed):
    folder = tmp_path_factory.mktemp("pair")
    images, texts = world(folder, seed)
    retrieve.pair(images, texts, 5, pool, folder / "p.parquet", {})
    pairs = tables.read(folder / "p.parquet")
    truth = brute(images, texts, pool)
    for number, (_, found) in enumerate(pairs.groupby("image_id", sort=False)):
        best = truth.iloc[number].sort_values(ascending=False).iloc[:5]
        assert list(found["report_id"]) == list(best.index)
        np.testing.assert_allclose(found["similarity"], best, atol=1e-5)
        assert list(found["rank"]) == [1, 2, 3, 4, 5]


def test_the_chunk_given_is_the_most_similar_one(tmp_path):
    write_vectors(tmp_path / "i.parquet", {"image_id": ["a"]}, np.array([[1.0, 0.0]]))
    texts = {"report_id": ["x", "x", "y"], "chunk": pa.array([0, 1, 0], pa.int32())}
    write_vectors(tmp_path / "t.parquet", texts, np.array([[0.0, 1.0], [2.0, 0.1], [1.0, 1.0]]))
    retrieve.pair(
        tmp_path / "i.parquet", tmp_path / "t.parquet", 2, "max", tmp_path / "p.parquet", {}
    )
    pairs = tables.read(tmp_path / "p.parquet")
    assert list(zip(pairs["report_id"], pairs["chunk"], strict=True)) == [("x", 1), ("y", 0)]


def test_length_of_vectors_does_not_matter(tmp_path):
    images, texts = world(tmp_path)
    retrieve.pair(images, texts, 3, "max", tmp_path / "p.parquet", {})
    pairs = tables.read(tmp_path / "p.parquet")
    assert pairs["similarity"].between(-1.0001, 1.0001).all()


def test_fewer_reports_than_k_gives_them_all(tmp_path):
    images, texts = world(tmp_path, reports=2)
    retrieve.pair(images, texts, 5, "max", tmp_path / "p.parquet", {})
    assert tables.read(tmp_path / "p.parquet").groupby("image_id").size().eq(2).all()


def test_blocks_change_nothing(tmp_path, monkeypatch):
    images, texts = world(tmp_path)
    retrieve.pair(images, texts, 3, "max", tmp_path / "one.parquet", {})
    monkeypatch.setattr(retrieve, "BLOCK", 7)
    retrieve.pair(images, texts, 3, "max", tmp_path / "many.parquet", {})
    pd.testing.assert_frame_equal(
        tables.read(tmp_path / "one.parquet"), tables.read(tmp_path / "many.parquet")
    )


def test_towers_of_different_models_are_refused(tmp_path):
    images, _ = world(tmp_path)
    write_vectors(
        tmp_path / "t.parquet",
        {"report_id": ["x"], "chunk": pa.array([0], pa.int32())},
        np.ones((1, 3)),
    )
    with pytest.raises(InputError, match=r"texts have 3 dimensions.*one CLIP model"):
        retrieve.pair(images, tmp_path / "t.parquet", 1, "max", tmp_path / "p.parquet", {})
    assert not (tmp_path / "p.parquet").exists()
