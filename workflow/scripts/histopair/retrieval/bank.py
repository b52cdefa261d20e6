"""The reports of a corpus as a bank of unit vectors, one row per chunk or one per report."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from histopair.errors import InputError
from histopair.files import tables
from histopair.retrieval import nearest


class Bank(NamedTuple):
    """Rows that images are compared with, and the report of each."""

    chunks: pd.DataFrame  # report_id and chunk of each of m rows
    codes: np.ndarray  # (m,) number of each row's report, by first appearance
    vectors: np.ndarray  # (m, d) float32


def read(texts: str, pool: str) -> Bank:
    """The bank of an embedded corpus.

    pool "max": a report has a row for each chunk, and the most similar one counts. "mean": it has
    one row, the mean of its chunks' unit vectors, so its similarity is their mean. "embedding":
    that mean, normalised to unit length. A pooled report's `chunk` is its first. Raises InputError
    for a corpus without texts and for vectors with values that are not numbers.
    """
    chunks = tables.read(texts, ["report_id", "chunk"])
    if chunks.empty:
        raise InputError(texts, "it holds no text", "Rerun the corpus: read its audit")
    vectors = tables.matrix(texts, normalise=True)
    check_finite(texts, chunks["report_id"].to_numpy(), vectors)
    codes = pd.factorize(chunks["report_id"])[0]
    if pool == "max":
        return _without_doubles(Bank(chunks, codes, vectors))
    counts = np.bincount(codes)
    means = np.zeros((len(counts), vectors.shape[1]), np.float32)
    np.add.at(means, codes, vectors)
    means /= counts[:, None]
    first = chunks.drop_duplicates("report_id")
    means = tables.unit(means) if pool == "embedding" else means
    return Bank(first, np.arange(len(counts)), means)


def _without_doubles(bank: Bank) -> Bank:
    """Keep the first of a report's equal rows: thousands of them would fill every list."""
    rows = pd.DataFrame({"report": bank.codes, "vector": nearest.distinct(bank.vectors)[0]})
    kept = ~rows.duplicated().to_numpy()
    return bank if kept.all() else Bank(bank.chunks[kept], bank.codes[kept], bank.vectors[kept])


def with_bias(bank: Bank, bias: np.ndarray) -> Bank:
    """Append the report's bias to its vectors; queries with a 1 in that place add it."""
    return bank._replace(vectors=np.column_stack([bank.vectors, bias[bank.codes]]))


def report_similarities(bank: Bank) -> Callable[[np.ndarray], np.ndarray]:
    """The function of queries (n, d) that gives their similarity to each report, (n, reports).

    Equal vectors have equal columns to the last bit, so that corrections treat doubles alike.
    """
    inverse, vectors = nearest.distinct(bank.vectors)
    order = np.argsort(bank.codes, kind="stable")
    starts = np.unique(bank.codes[order], return_index=True)[1]
    columns = inverse[order]
    plain = np.array_equal(columns, np.arange(len(vectors)))

    def similarities(queries: np.ndarray) -> np.ndarray:
        products = queries @ vectors.T if plain else (queries @ vectors.T)[:, columns]
        if len(starts) == len(columns):
            return products
        return np.maximum.reduceat(products, starts, axis=1)

    return similarities


def check_finite(path: str, names: np.ndarray, vectors: np.ndarray) -> None:
    """Raise InputError for the first row of vectors (n, d) that is not all numbers."""
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        problem = f"the embedding of {names[bad][0]!r} has values that are not numbers"
        remedy = "Delete the embeddings and rerun with embedding.precision float32"
        raise InputError(path, problem, remedy)
