"""Exact search by every backend: the order of a stable sort, ties by row, at any size of parts."""

import sys

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histopair.errors import InputError
from histopair.files import tables
from histopair.retrieval import approximate, nearest, search_torch


def brute(queries, bank, k):
    """Ranks of exact products: small whole numbers, so that no rounding decides."""
    products = queries.astype(np.int64) @ bank.astype(np.int64).T
    return np.argsort(-products, axis=1, kind="stable")[:, :k]


def whole_numbers(seed, n, m, d=3):
    """Vectors with many ties, many doubles and some zeros."""
    random = np.random.default_rng(seed)
    return (random.integers(-1, 2, (size, d)).astype(np.float32) for size in (n, m))


def on_torch(bank, gpu=False):
    return nearest._settling(search_torch.searcher(bank, "cpu"), bank)


@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 9), m=st.integers(1, 60), part=st.integers(1, 9)
)
@settings(max_examples=60, deadline=None)
def test_ties_and_doubles_come_in_the_order_of_the_bank(seed, n, m, part):
    queries, bank = whole_numbers(seed, n, m)
    k = min(5, m)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "PART", part)
        similarity, rows = nearest.exact(bank)(queries, k)
    np.testing.assert_array_equal(rows, brute(queries, bank, k))
    np.testing.assert_array_equal(similarity, np.take_along_axis(queries @ bank.T, rows, 1))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_torch_finds_what_faiss_finds(seed):
    random = np.random.default_rng(seed)
    queries, bank = (tables.unit(random.normal(size=(size, 16))) for size in (20, 300))
    expected, rows = nearest.exact(bank)(queries, 7)
    similarity, found = on_torch(bank)(queries, 7)
    np.testing.assert_array_equal(found, rows)
    np.testing.assert_allclose(similarity, expected, atol=1e-6)


def test_torch_settles_ties_by_row():
    queries, bank = whole_numbers(3, 8, 40)
    _, rows = on_torch(bank)(queries, 6)
    np.testing.assert_array_equal(rows, brute(queries, bank, 6))


def test_one_vector_a_thousand_times_gives_its_first_rows():
    random = np.random.default_rng(0)
    bank = np.repeat(tables.unit(random.normal(size=(1, 37))), 1000, axis=0)
    similarity, rows = nearest.exact(bank)(tables.unit(random.normal(size=(9, 37))), 5)
    assert (rows == np.arange(5)).all()
    assert (similarity == similarity[:, :1]).all()


def test_candidates_of_doubled_rows_may_pass_in_parts(monkeypatch):
    random = np.random.default_rng(0)
    bank = np.repeat(tables.unit(random.normal(size=(6, 5))), 40, axis=0)
    queries = tables.unit(random.normal(size=(9, 5)))
    whole = nearest.exact(bank)(queries, 50)
    np.testing.assert_array_equal(whole[1][:, :40] % 40, np.tile(np.arange(40), (9, 1)))
    monkeypatch.setattr(nearest, "SETTLED", 100)
    for once, parted in zip(whole, nearest.exact(bank)(queries, 50), strict=True):
        np.testing.assert_array_equal(once, parted)


def test_without_a_gpu_in_faiss_torch_searches(monkeypatch):
    monkeypatch.setattr("faiss.get_num_gpus", lambda: 0, raising=False)
    assert nearest.backend(gpu=True) == ("torch", search_torch.searcher)
    monkeypatch.setattr("faiss.get_num_gpus", lambda: 2, raising=False)
    assert nearest.backend(gpu=True) == ("FAISS on 2 GPUs", nearest._faiss_gpus)
    assert nearest.backend(gpu=False) == ("FAISS on the processor", nearest._faiss)


def test_without_a_gpu_and_without_torch_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr("faiss.get_num_gpus", lambda: 0, raising=False)
    monkeypatch.setitem(sys.modules, "histopair.retrieval.search_torch", None)
    with pytest.raises(InputError, match="FAISS sees no GPU here, and torch is not installed"):
        nearest.backend(gpu=True)


@pytest.mark.parametrize("count, asked", [(1, [0]), (3, [0, 1, 2]), (9, range(8))])
def test_several_gpus_share_the_queries(monkeypatch, count, asked):
    """A stand-in for FAISS with GPUs, which searches on the processor and keeps which one ran."""
    queries, bank = whole_numbers(4, 8, 40)
    devices = []

    def knn_gpu(resources, share, bank, k, metric, device):
        devices.append((device, len(share)))
        return faiss.knn(share, bank, k, metric=metric)

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: count, raising=False)
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "knn_gpu", knn_gpu, raising=False)
    similarity, rows = nearest.exact(bank, gpu=True)(queries, 6)
    np.testing.assert_array_equal(rows, brute(queries, bank, 6))
    np.testing.assert_array_equal(similarity, np.take_along_axis(queries @ bank.T, rows, 1))
    assert sorted(device for device, _ in devices) == list(asked)
    assert sum(size for _, size in devices) == 8


@pytest.mark.parametrize("index", ["ivf", "hnsw"])
def test_an_index_at_full_effort_is_exact(index):
    random = np.random.default_rng(1)
    queries, bank = (tables.unit(random.normal(size=(size, 8))) for size in (30, 400))
    exact = nearest.exact(bank)
    found = approximate.searcher(bank, index, 400)(queries, 5)[1]
    assert approximate.recall(found, exact(queries, 5)[1]) > 0.99


@pytest.mark.parametrize("index", ["ivf", "hnsw"])
def test_an_index_is_the_same_each_time(index):
    random = np.random.default_rng(1)
    queries, bank = (tables.unit(random.normal(size=(size, 8))) for size in (30, 400))
    one, two = (approximate.searcher(bank, index, 2)(queries, 2) for _ in range(2))
    np.testing.assert_array_equal(one[1], two[1])
    np.testing.assert_array_equal(one[0], two[0])


def test_what_an_index_leaves_open_is_searched_exactly():
    random = np.random.default_rng(2)
    queries, bank = (tables.unit(random.normal(size=(size, 8))) for size in (30, 400))
    exact = nearest.exact(bank)
    similarity, rows = approximate.searcher(bank, "ivf", 1)(queries, 300)
    np.testing.assert_array_equal(rows, exact(queries, 300)[1])
    assert np.isfinite(similarity).all()


@pytest.mark.parametrize("index", ["ivf", "hnsw"])
def test_doubles_in_an_index_come_in_the_order_of_the_bank(index):
    random = np.random.default_rng(4)
    queries, few = (tables.unit(random.normal(size=(size, 8))) for size in (30, 12))
    bank = few[random.integers(0, 12, 900)]
    exact = nearest.exact(bank)(queries, 100)
    found = approximate.searcher(bank, index, 400)(queries, 100)
    np.testing.assert_array_equal(found[1], exact[1])
    assert approximate.recall(found[1], exact[1]) == 1
    np.testing.assert_allclose(found[0], exact[0], atol=1e-6)


def test_recall_by_hand():
    found, truth = np.array([[1, 2], [3, 4]]), np.array([[2, 1], [4, 9]])
    assert approximate.recall(found, truth) == 0.75
