"""Pairing: for each image the k most similar reports, by exact inner product of unit vectors.

CLIP-IT Eq. 1: j*(i) = argmax_j cos(v_i, t_j), v and t from the same retrieval CLIP.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from histopair import jobs, tables
from histopair.errors import InputError

BLOCK = 8192  # images searched at a time: memory stays bounded whatever the dataset's size


def pair(images: str, texts: str, k: int, pool: str, out: str, about: dict) -> None:
    """Write the k best reports of every image: image_id, rank, report_id, chunk, similarity.

    pool "max": a report is as similar as its most similar chunk, which is the one given.
    pool "mean": a report is the mean of its unit chunk vectors; `chunk` is then its first.
    """
    chunks = tables.read(texts, ["report_id", "chunk"])
    vectors = tables.matrix(texts, normalise=True)
    if pool == "mean":
        chunks, vectors = mean_of_chunks(chunks, vectors)
    _check_dimensions(images, texts, vectors)
    k = min(k, chunks["report_id"].nunique())
    search = _searcher(vectors)
    blocks = _blocks(images)
    total = pq.ParquetFile(images).metadata.num_rows
    rows = (
        _block_table(ids, *best_reports(search, queries, chunks, k))
        for ids, queries in jobs.progress(
            blocks, total, "images", "pairing", size=lambda block: len(block[0])
        )
    )
    tables.write_stream(out, rows, about)


def best_reports(
    search, queries: np.ndarray, chunks: pd.DataFrame, k: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """The k best distinct reports for each of n unit queries (n, d).

    Returns their chunk rows, n * k of them in rank order, and similarities (n, k). Exact: among
    the k * m best chunks, m the most chunks a report has, there are at least k reports, and they
    come in the order of their best chunks.
    """
    most = int(chunks.groupby("report_id").size().max())
    codes = pd.factorize(chunks["report_id"])[0]
    similarity, found = search(queries, min(k * most, len(chunks)))
    first = _first_of_each(codes[found])
    rank = np.cumsum(first, axis=1)
    keep = first & (rank <= k)
    return chunks.iloc[found[keep]], similarity[keep].reshape(-1, k)


def mean_of_chunks(chunks: pd.DataFrame, vectors: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """One row and one unit vector per report: the mean of its chunks' unit vectors."""
    codes, _ = pd.factorize(chunks["report_id"])
    sums = np.zeros((codes.max() + 1, vectors.shape[1]), np.float32)
    np.add.at(sums, codes, vectors)
    return chunks.drop_duplicates("report_id"), tables.unit(sums)


def _searcher(vectors: np.ndarray):
    """FAISS exact inner product over `vectors`; ties go to the earlier chunk."""
    import faiss

    faiss.omp_set_num_threads(jobs.threads())
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index.search


def _first_of_each(codes: np.ndarray) -> np.ndarray:
    """True where a row (n, m) of codes shows a code for the first time in that row."""
    order = np.argsort(codes, axis=1, kind="stable")
    ordered = np.take_along_axis(codes, order, axis=1)
    new = np.ones_like(ordered, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.empty_like(new)
    np.put_along_axis(first, order, new, axis=1)
    return first


def _blocks(path: str) -> Iterator[tuple[pa.Array, np.ndarray]]:
    """Ids and unit vectors (n, d) of up to BLOCK images at a time."""
    for batch in pq.ParquetFile(path).iter_batches(BLOCK, columns=["image_id", "embedding"]):
        column = batch.column("embedding")
        queries = column.flatten().to_numpy(zero_copy_only=False)
        yield batch.column("image_id"), tables.unit(queries.reshape(len(batch), -1))


def _block_table(ids: pa.Array, chunks: pd.DataFrame, similarity: np.ndarray) -> pa.Table:
    n, k = similarity.shape
    return pa.table(
        {
            "image_id": pa.array(np.repeat(ids.to_numpy(zero_copy_only=False), k), pa.string()),
            "rank": pa.array(np.tile(np.arange(1, k + 1, dtype=np.int32), n)),
            "report_id": pa.array(chunks["report_id"], pa.string()),
            "chunk": pa.array(chunks["chunk"].to_numpy(np.int32)),
            "similarity": pa.array(similarity.reshape(-1).astype(np.float32)),
        }
    )


def _check_dimensions(images: str, texts: str, vectors: np.ndarray) -> None:
    dimension = pq.read_schema(images).field("embedding").type.list_size
    if dimension != vectors.shape[1]:
        raise InputError(
            texts,
            f"texts have {vectors.shape[1]} dimensions, images of {images} have {dimension}",
            "The retriever must be one CLIP model with both towers",
        )
