"""Pairing is exact: the same reports as brute force, in the same order."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histopair.errors import InputError
from histopair.files import tables
from histopair.retrieval import bank, correction, nearest, retrieve


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
    """Similarity of every image to every report, straight from what each pool promises."""
    rows = tables.read(texts, ["report_id", "chunk"])
    vectors = tables.matrix(texts, normalise=True).astype(np.float64)
    queries = tables.matrix(images, normalise=True).astype(np.float64)
    if pool == "embedding":
        means = pd.DataFrame(vectors).groupby(rows["report_id"], sort=False).mean()
        unit = means.to_numpy() / np.linalg.norm(means, axis=1, keepdims=True)
        return pd.DataFrame(queries @ unit.T, columns=means.index)
    of_chunks = pd.DataFrame(queries @ vectors.T, columns=rows["report_id"]).T
    return of_chunks.groupby(level=0, sort=False).agg(pool).T


def paired(images, texts, k=5, pool="max", **options):
    out = Path(images).with_name("p.parquet")
    retrieve.pair(
        images, texts, {"k": k, "pool": pool} | options.pop("more", {}), out, {}, **options
    )
    return tables.read(out)


def labels_of(folder, splits):
    table = pd.DataFrame(splits, columns=["image_id", "split"])
    tables.write(folder / "labels.parquet", table, {})
    return folder / "labels.parquet"


@pytest.mark.parametrize("pool", ["max", "mean", "embedding"])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_k_best_reports_are_those_of_brute_force(tmp_path_factory, pool, seed):
    folder = tmp_path_factory.mktemp("pair")
    images, texts = world(folder, seed)
    pairs = paired(images, texts, 5, pool)
    truth = brute(images, texts, pool)
    for number, (_, found) in enumerate(pairs.groupby("image_id", sort=False)):
        best = truth.iloc[number].sort_values(ascending=False).iloc[:5]
        assert list(found["report_id"]) == list(best.index)
        np.testing.assert_allclose(found["similarity"], best, atol=1e-5)
        assert list(found["rank"]) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "k, said", [(12, ""), (13, "k is 13, and each image gets all 12 reports there are")]
)
def test_a_log_says_where_there_are_fewer_reports_than_k(tmp_path, capsys, k, said):
    pairs = paired(*world(tmp_path), k)
    assert pairs.groupby("image_id").size().unique().tolist() == [12]
    assert [line for line in capsys.readouterr().out.splitlines() if "reports" in line] == [
        said
    ] * bool(said)


def test_the_chunk_given_is_the_most_similar_one(tmp_path):
    write_vectors(tmp_path / "i.parquet", {"image_id": ["a"]}, np.array([[1.0, 0.0]]))
    texts = {"report_id": ["x", "x", "y"], "chunk": pa.array([0, 1, 0], pa.int32())}
    write_vectors(tmp_path / "t.parquet", texts, np.array([[0.0, 1.0], [2.0, 0.1], [1.0, 1.0]]))
    pairs = paired(tmp_path / "i.parquet", tmp_path / "t.parquet", 2)
    assert list(zip(pairs["report_id"], pairs["chunk"], strict=True)) == [("x", 1), ("y", 0)]


def test_length_of_vectors_does_not_matter(tmp_path):
    images, texts = world(tmp_path)
    pairs = paired(images, texts, 3)
    assert pairs["similarity"].between(-1.0001, 1.0001).all()


def test_fewer_reports_than_k_gives_them_all(tmp_path):
    images, texts = world(tmp_path, reports=2)
    assert paired(images, texts, 5).groupby("image_id").size().eq(2).all()


def test_a_bank_of_one_report_is_paired_with_every_image(tmp_path):
    pairs = paired(*world(tmp_path, reports=1), 5)
    assert set(pairs["report_id"]) == {"r0"} and (pairs["rank"] == 1).all()


def test_blocks_change_nothing(tmp_path, monkeypatch):
    images, texts = world(tmp_path)
    whole = paired(images, texts, 3)
    monkeypatch.setattr(retrieve, "BLOCK", 7)
    monkeypatch.setattr(nearest, "PART", 5)
    in_blocks = paired(images, texts, 3)
    names = ["image_id", "rank", "report_id", "chunk"]
    pd.testing.assert_frame_equal(in_blocks[names], whole[names])
    np.testing.assert_allclose(in_blocks["similarity"], whole["similarity"], atol=1e-6)


def test_towers_of_different_models_are_refused(tmp_path):
    images, _ = world(tmp_path)
    write_vectors(
        tmp_path / "t.parquet",
        {"report_id": ["x"], "chunk": pa.array([0], pa.int32())},
        np.ones((1, 3)),
    )
    with pytest.raises(InputError, match=r"texts have 3 dimensions.*one CLIP model"):
        paired(images, tmp_path / "t.parquet", 1)
    assert not (tmp_path / "p.parquet").exists()


def write_texts(folder, ids, vectors):
    texts = {"report_id": ids, "chunk": pa.array([0] * len(ids), pa.int32())}
    write_vectors(folder / "t.parquet", texts, vectors)
    return folder / "t.parquet"


@pytest.mark.parametrize("corrected", ["", *correction.BIASES])
def test_a_report_repeated_a_thousand_times_is_paired_in_the_order_of_the_corpus(
    tmp_path, corrected
):
    images, _ = world(tmp_path, d=37)
    vectors = np.repeat(np.random.default_rng(4).normal(size=(2, 37)), [1, 1000], axis=0)
    texts = write_texts(tmp_path, [f"r{i}" for i in range(1001)], vectors)
    labels = labels_of(tmp_path, [(f"i{i}", "train") for i in range(50)])
    pairs = paired(images, texts, 4, corrected=corrected, labels=labels)
    for _, found in pairs[pairs["report_id"] != "r0"].groupby("image_id"):
        numbers = found["report_id"].str[1:].astype(int).tolist()
        assert numbers == list(range(1, len(numbers) + 1))
        assert found["similarity"].nunique() == 1


def test_a_vector_of_zeros_is_as_similar_to_everything(tmp_path):
    images = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.1]])
    write_vectors(tmp_path / "i.parquet", {"image_id": ["zero", "right", "left"]}, images)
    texts = write_texts(tmp_path, ["x", "none", "y"], np.array([[1, 0.2], [0, 0], [1, 0]]))
    pairs = paired(tmp_path / "i.parquet", texts, 2).set_index("image_id")
    assert pairs.loc["zero", "report_id"].tolist() == ["x", "none"]
    assert pairs.loc["zero", "similarity"].eq(0).all()
    assert pairs.loc["right", "report_id"].tolist() == ["y", "x"]
    assert pairs.loc["left", "report_id"].tolist() == ["none", "x"]


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_that_are_no_numbers_are_named(tmp_path, bad):
    images, texts = world(tmp_path)
    vectors = np.ones((3, 8))
    vectors[1, 2] = bad
    write_vectors(tmp_path / "bad.parquet", {"image_id": ["a", "b", "c"]}, vectors)
    with pytest.raises(InputError, match=r"bad.parquet.*'b' has values that are not numbers"):
        paired(tmp_path / "bad.parquet", texts)
    with pytest.raises(InputError, match=r"'y' has values that are not numbers"):
        paired(images, write_texts(tmp_path, ["x", "y", "z"], vectors))


def test_nothing_to_pair_is_said(tmp_path):
    images, _ = world(tmp_path)
    with pytest.raises(InputError, match="it holds no text"):
        paired(images, write_texts(tmp_path, [], np.empty((0, 8))))
    write_vectors(tmp_path / "i.parquet", {"image_id": pa.array([], pa.string())}, np.empty((0, 8)))
    with pytest.raises(InputError, match="it holds no image"):
        paired(images, world(tmp_path / "other")[1])


def test_a_report_of_many_good_chunks_does_not_hide_the_others(tmp_path):
    """All of the 40 best chunks are of one report: the list has to be asked for again, deeper."""
    write_vectors(tmp_path / "i.parquet", {"image_id": ["a"]}, np.array([[1.0, 0.0]]))
    angles = np.concatenate([np.linspace(0, 0.1, 40), [0.5, 0.4, 0.6]])
    ids = ["long"] * 40 + ["x", "y", "z"]
    vectors = np.column_stack([np.cos(angles), np.sin(angles)])
    pairs = paired(tmp_path / "i.parquet", write_texts(tmp_path, ids, vectors), 3)
    assert pairs["report_id"].tolist() == ["long", "y", "x"]


def test_a_chunk_that_its_report_repeats_is_searched_once(tmp_path):
    write_vectors(tmp_path / "i.parquet", {"image_id": ["a"]}, np.array([[1.0, 0.0]]))
    ids = ["x", *["long"] * 1000, "y", "z"]
    vectors = np.array([[0.9, 0.1], *[[1.0, 0.0]] * 1000, [1.0, 0.0], [0.8, 0.2]])
    texts = write_texts(tmp_path, ids, vectors)
    assert bank.read(str(texts), "max").codes.tolist() == [0, 1, 2, 3]
    pairs = paired(tmp_path / "i.parquet", texts, 4)
    assert pairs["report_id"].tolist() == ["long", "y", "x", "z"]


@pytest.mark.parametrize("pool", ["max", "mean", "embedding"])
@pytest.mark.parametrize("corrected", correction.BIASES)
def test_a_corrected_pairing_is_that_of_brute_force(tmp_path, pool, corrected):
    images, texts = world(tmp_path, seed=6)
    splits = ["train", "train", "val", "test"] * 13
    labels = labels_of(tmp_path, [(f"i{i}", splits[i]) for i in range(50)])
    truth = brute(images, texts, pool)
    train = truth.to_numpy()[[split == "train" for split in splits[:50]]]
    bias, _ = correction.biases(corrected, lambda: [train], {})
    pairs = paired(images, texts, 3, pool, corrected=corrected, labels=labels)
    for number, (_, found) in enumerate(pairs.groupby("image_id", sort=False)):
        scores = (truth.iloc[number] + bias).sort_values(ascending=False).iloc[:3]
        assert list(found["report_id"]) == list(scores.index)
        np.testing.assert_allclose(found["score"], scores, atol=1e-4)
        expected = truth.iloc[number][scores.index]
        np.testing.assert_allclose(found["similarity"], expected, atol=1e-5)


@pytest.mark.parametrize("corrected", correction.BIASES)
def test_test_images_do_not_change_each_others_pairs(tmp_path, corrected):
    images, texts = world(tmp_path)
    split = lambda i: "train" if i < 30 else "test"  # noqa: E731
    labels = labels_of(tmp_path, [(f"i{i}", split(i)) for i in range(50)])
    whole = paired(images, texts, corrected=corrected, labels=labels)
    kept = tables.read(images).iloc[:40]
    vectors = np.stack(kept["embedding"])
    write_vectors(tmp_path / "i.parquet", {"image_id": kept["image_id"]}, vectors)
    part = paired(images, texts, corrected=corrected, labels=labels)
    pd.testing.assert_frame_equal(part, whole[whole["image_id"].isin(kept["image_id"])])


def test_an_image_with_a_sample_outside_train_is_no_reference(tmp_path):
    images, texts = world(tmp_path)
    both = [(f"i{i}", split) for i in range(50) for split in ("train", "test")]
    with pytest.raises(InputError, match="no image is in the train split alone"):
        paired(images, texts, corrected="csls", labels=labels_of(tmp_path, both))


def test_an_index_is_used_above_its_size_only_and_its_recall_is_told(tmp_path):
    images, texts = world(tmp_path, reports=60)
    chunks = len(tables.read(texts))
    settings = {"above": chunks, "index": "ivf", "effort": 1, "sample": 20}
    paired(images, texts, 3, more={"approximate": settings})
    assert tables.about(tmp_path / "p.parquet")["search"] == {
        "index": "exact",
        "searched_by": "FAISS on the processor",
    }
    exact = tables.read(tmp_path / "p.parquet")
    paired(images, texts, 3, more={"approximate": settings | {"above": chunks - 1}})
    told = tables.about(tmp_path / "p.parquet")["search"]
    found = tables.read(tmp_path / "p.parquet")
    assert told["index"] == "ivf" and told["sample"] == 20 and 0 < told["recall"] <= 1
    found, truth = (t["report_id"].to_numpy().reshape(-1, 3) for t in (found, exact))
    shares = [len(set(a) & set(b)) / 3 for a, b in zip(found, truth, strict=True)]
    drawn = np.random.default_rng(0).choice(50, 20, replace=False)
    assert told["recall"] == pytest.approx(np.mean(np.array(shares)[drawn]))
