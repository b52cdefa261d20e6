"""Exact top-k by inner product, at any size: blocks of queries against parts of a bank of vectors.

A search is a function of queries (n, d) and k that gives similarities (n, k), best first, and the
bank's rows (n, k). Ties go to the earlier row. Equal rows always tie, even if a kernel rounds them
differently at the edges of its blocks.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module

import numpy as np
import pandas as pd

from histopair import jobs
from histopair.errors import InputError

PART = 131_072  # rows of the bank searched at a time
SETTLED = 2**24  # products held at once to settle ties, and candidates of doubled rows

Search = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def exact(bank: np.ndarray, gpu: bool = False) -> Search:
    """Exact search of a float32 bank (m, d). gpu: by FAISS if it finds a GPU, else by torch."""
    return of_distinct(bank, lambda unique: exact_among(unique, gpu))


def of_distinct(bank: np.ndarray, searcher: Callable[[np.ndarray], Search]) -> Search:
    """A search of all rows of a bank, by the `searcher` of its distinct vectors (u, d)."""
    inverse, unique = distinct(bank)
    search = searcher(unique)
    return search if len(unique) == len(bank) else _expanding(search, inverse)


def ordered(similarity: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of candidates (n, c): largest similarity first, then the earlier row."""
    order = np.lexsort((rows, -similarity), axis=1)[:, :k]
    return np.take_along_axis(similarity, order, 1), np.take_along_axis(rows, order, 1)


def exact_among(unique: np.ndarray, gpu: bool = False) -> Search:
    """`exact` for a bank (u, d) whose rows are known to be distinct."""
    _, searcher = backend(gpu)
    parts = [unique[start : start + PART] for start in range(0, len(unique), PART)]
    return _settling(_merged(list(map(searcher, parts)), PART), unique)


def backend(gpu: bool) -> tuple[str, Callable[[np.ndarray], Search]]:
    """The name of what searches, and its searcher.

    That is FAISS on the processor or on GPUs, or torch if FAISS is missing or sees no GPU. Raises
    InputError if torch is missing, too.
    """
    if not gpu:
        return "FAISS on the processor", _faiss
    with suppress(ImportError):
        import faiss

        if count := getattr(faiss, "get_num_gpus", int)():
            return f"FAISS on {count} GPU{'s' if count > 1 else ''}", _faiss_gpus
    try:
        return "torch", import_module("histopair.retrieval.search_torch").searcher
    except ImportError:
        problem = "FAISS sees no GPU here, and torch is not installed"
        remedy = "Set gpu to 0 in the config, or look at the driver"
        raise InputError("gpu", problem, remedy) from None


def _faiss(bank: np.ndarray) -> Search:
    import faiss

    faiss.omp_set_num_threads(jobs.threads())
    return lambda queries, k: faiss.knn(queries, bank, k, metric=faiss.METRIC_INNER_PRODUCT)


def _faiss_gpus(bank: np.ndarray) -> Search:
    """Each GPU searches the whole bank for its share of the queries, in a thread of its own."""
    import faiss

    metric = faiss.METRIC_INNER_PRODUCT
    resources = [faiss.StandardGpuResources() for _ in range(faiss.get_num_gpus())]

    def search(queries: np.ndarray, k: int):
        def on(device: int, share: np.ndarray):
            return faiss.knn_gpu(resources[device], share, bank, k, metric=metric, device=device)

        shares = np.array_split(queries, min(len(resources), len(queries)) or 1)
        with ThreadPoolExecutor(len(resources)) as pool:
            results = list(pool.map(on, range(len(resources)), shares))
        return tuple(np.concatenate(arrays) for arrays in zip(*results, strict=True))

    return search


def _merged(searches: list[Search], size: int) -> Search:
    """One search of a bank of which each of `searches` has `size` rows, and the last the rest.

    Parts may hold fewer rows than k: then they give fewer, or rows of -1.
    """
    if len(searches) == 1:
        return searches[0]

    def search(queries: np.ndarray, k: int):
        best = None
        for number, part in enumerate(searches):
            similarity, rows = part(queries, k)
            rows = np.where(rows >= 0, rows + number * size, rows)
            if best is not None:
                similarity = np.hstack([best[0], similarity])
                rows = np.hstack([best[1], rows])
            similarity = np.where(rows >= 0, similarity, -np.inf)
            best = ordered(similarity, rows, k)
        return best

    return search


def _settling(search: Search, bank: np.ndarray) -> Search:
    """Ties by row, even between the k-th and the next: a heap keeps either of them."""

    def settled(queries: np.ndarray, k: int):
        similarity, rows = search(queries, min(k + 1, len(bank)))
        equal = (similarity[:, 1:] == similarity[:, :-1]).any(axis=1)
        similarity[equal], rows[equal] = ordered(similarity[equal], rows[equal], len(bank))
        if k < len(bank):
            tied = np.flatnonzero(similarity[:, k - 1] == similarity[:, k])
            similarity, rows = similarity[:, :k].copy(), rows[:, :k].copy()
            for some in np.array_split(tied, -(-len(tied) * len(bank) // SETTLED) or 1):
                products = queries[some] @ bank.T
                best = np.argsort(-products, axis=1, kind="stable")[:, :k]
                similarity[some] = np.take_along_axis(products, best, 1)
                rows[some] = best
        return similarity, rows

    return settled


def distinct(bank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row the number of its vector, and the distinct vectors in order of appearance."""
    bank = np.ascontiguousarray(bank, np.float32) + np.float32(0)  # -0 is 0
    keys = [hashlib.blake2b(row, digest_size=16).digest() for row in bank]
    inverse, _ = pd.factorize(np.array(keys, dtype=object))
    first = np.unique(inverse, return_index=True)[1]
    return inverse, bank if len(first) == len(bank) else bank[first]


def _expanding(search: Search, inverse: np.ndarray) -> Search:
    """A search of all rows, from one of distinct vectors; inverse (m,): the vector of each row."""
    order = np.argsort(inverse, kind="stable")
    counts = np.bincount(inverse)
    starts = np.concatenate([[0], np.cumsum(counts)])

    def candidates(similarity: np.ndarray, vectors: np.ndarray, k: int, width: int):
        place = np.arange(width)
        exists = place < counts[vectors][..., None]
        at = np.where(exists, starts[vectors][..., None] + place, 0)
        shape = (len(vectors), vectors.shape[1] * width)
        scores = np.where(exists, similarity[..., None], -np.inf).reshape(shape)
        return ordered(scores, order[at].reshape(shape), k)

    def expanded(queries: np.ndarray, k: int):
        similarity, vectors = search(queries, min(k, len(counts)))
        width = int(min(k, counts[vectors].max()))
        parts = -(-vectors.size * width // SETTLED)
        inputs = zip(np.array_split(similarity, parts), np.array_split(vectors, parts), strict=True)
        results = [candidates(*part, k, width) for part in inputs]
        return tuple(np.concatenate(arrays) for arrays in zip(*results, strict=True))

    return expanded
