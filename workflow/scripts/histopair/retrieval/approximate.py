"""Approximate search of very large banks, with its measured recall against exact search.

Both indexes are the same bit for bit in each build: IVF from a fixed seed, HNSW by one thread.
"""

import numpy as np

from histopair import jobs
from histopair.retrieval import nearest

LINKS = 32  # of each node in HNSW


def searcher(bank: np.ndarray, index: str, effort: int) -> nearest.Search:
    """A search (see nearest.py) of a float32 bank (m, d) by FAISS' IVF or HNSW.

    The index holds each distinct vector once: doubles would fill its lists, and its visits. effort:
    cells visited (ivf, of 4 sqrt(vectors)) or candidates kept (hnsw). A query for which the index
    finds too few is searched exactly.
    """
    return nearest.of_distinct(bank, lambda unique: _searcher(unique, index, effort))


def _searcher(unique: np.ndarray, index: str, effort: int) -> nearest.Search:
    approximate = {"ivf": _ivf, "hnsw": _hnsw}[index](unique, effort)
    exact = nearest.exact_among(unique)

    def find(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        similarity, rows = nearest.ordered(*approximate.search(queries, k), k)
        short = np.flatnonzero((rows < 0).any(axis=1))
        if len(short):
            similarity[short], rows[short] = exact(queries[short], k)
        return similarity, rows

    return find


def recall(retrieved: np.ndarray, truth: np.ndarray) -> float:
    """Share of the true k reports (n, k) that are among the retrieved (n, k), in any order."""
    return float((truth[:, :, None] == retrieved[:, None, :]).any(axis=2).mean())


def _ivf(bank: np.ndarray, effort: int):
    import faiss

    faiss.omp_set_num_threads(jobs.threads())
    cells = max(1, min(int(4 * np.sqrt(len(bank))), len(bank) // 39))  # 39 a cell, or FAISS warns
    quantizer = faiss.IndexFlatIP(bank.shape[1])
    index = faiss.IndexIVFFlat(quantizer, bank.shape[1], cells, faiss.METRIC_INNER_PRODUCT)
    index.train(bank)
    index.add(bank)
    index.nprobe = min(effort, cells)
    return index


def _hnsw(bank: np.ndarray, effort: int):
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(bank.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    index.add(bank)
    faiss.omp_set_num_threads(jobs.threads())
    index.hnsw.efSearch = effort
    return index
