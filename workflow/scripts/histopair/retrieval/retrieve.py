"""Pairing: for each image the k most similar reports, by inner product of unit vectors.

CLIP-IT Eq. 1: j*(i) = argmax_j cos(v_i, t_j), v and t from the same retrieval CLIP.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from histopair import jobs
from histopair.errors import InputError
from histopair.files import tables
from histopair.retrieval import approximate, correction, nearest
from histopair.retrieval import bank as banks
from histopair.retrieval.bank import Bank

BLOCK = 8192  # images searched at a time: memory stays bounded whatever the dataset's size
SIMILARITIES = 2**24  # of images and chunks, held at a time for a correction


def pair(
    images: str,
    texts: str,
    retrieval: dict,
    out: str,
    about: dict,
    corrected: str = "",
    labels: str | None = None,
    gpu: bool = False,
) -> None:
    """Write the best reports of every image: image_id, rank, report_id, chunk, similarity, score.

    retrieval: the config's k, pool (see `bank.read`), approximate and settings of the corrections.
    corrected: one of correction.BIASES, from the images that `labels` has in the train split alone,
    or "". similarity is the cosine, or with pool "mean" its mean over chunks; score, by which
    reports are ranked, is similarity plus the report's bias. Ties go to the earlier report. If
    there are fewer reports than k, an image gets all of them. The similarity to a vector of zeros
    is 0. Raises InputError for vectors with values that are not numbers, towers of two models, and
    a correction without train images.
    """
    searched = search(images, texts, retrieval, corrected, labels, gpu)
    size = lambda block: len(block[0])  # noqa: E731
    blocks = jobs.progress(searched.blocks, searched.total, "images", "pairing", size)
    rows = (searched.table(*block) for block in blocks)
    tables.write_stream(out, rows, about | searched.how)


@dataclass
class Searched:
    """Blocks of a dataset's images, and how to pair one.

    blocks: ids and unit vectors of up to BLOCK images at a time; table(ids, vectors) gives the rows
    of `pair`; total: the number of images; how: facts for the artifact.
    """

    blocks: Iterator[tuple]
    table: Callable[[pa.Array, np.ndarray], pa.Table]
    total: int
    how: dict


def search(
    images: str, texts: str, retrieval: dict, corrected: str, labels: str | None, gpu: bool
) -> Searched:
    """The search of `pair`, before its first block."""
    bank = banks.read(texts, retrieval["pool"])
    total, about = _check(images, texts, bank), {}
    bias = np.zeros(bank.codes.max() + 1, np.float32)
    if corrected:
        reference = _reference(images, labels, bank)
        settings = retrieval.get(corrected.replace("-", "_"), {})
        bias, about["correction"] = correction.biases(corrected, reference, settings)
        bank = banks.with_bias(bank, bias)
    k = min(retrieval["k"], len(bias))
    if k < retrieval["k"]:
        print(f"k is {retrieval['k']}, and each image gets all {k} reports there are", flush=True)
    find, about["search"] = _search(images, bank, total, k, retrieval.get("approximate"), gpu)

    def table(ids: pa.Array, queries: np.ndarray) -> pa.Table:
        return _table(ids, bank, bias, *best_reports(find, queries, bank.codes, k))

    return Searched(_blocks(images, bank), table, total, about)


def best_reports(
    find: nearest.Search, queries: np.ndarray, codes: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best row of each of the k best distinct reports of n queries: scores and rows, (n, k).

    codes: the report of each row of the bank. Exact if `find` is: reports come in the order of
    their best chunks, so a list of best chunks that names k reports names the right ones. Queries
    whose list names fewer are searched again, for four times as many rows.
    """
    scores, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    left, depth = np.arange(len(queries)), k if codes.max() + 1 == len(codes) else 4 * k
    while len(left):
        score, row = find(queries[left], min(depth, len(codes)))
        first = _first_of_each(codes[row])
        rank = np.cumsum(first, axis=1)
        enough = rank[:, -1] >= k
        keep = (first & (rank <= k))[enough]
        scores[left[enough]] = score[enough][keep].reshape(-1, k)
        rows[left[enough]] = row[enough][keep].reshape(-1, k)
        left, depth = left[~enough], 4 * depth
    return scores, rows


def _search(
    images: str, bank: Bank, total: int, k: int, settings: dict | None, gpu: bool
) -> tuple[nearest.Search, dict]:
    """Exact search, or an index of measured recall if the bank is above the config's size."""
    exact = nearest.exact(bank.vectors, gpu)
    if gpu or not settings or len(bank.vectors) <= settings["above"]:
        name, _ = nearest.backend(gpu)
        print(f"exact search by {name}", flush=True)
        return exact, {"index": "exact", "searched_by": name}
    find = approximate.searcher(bank.vectors, settings["index"], settings["effort"])
    size = min(settings["sample"], total)
    drawn = np.sort(np.random.default_rng(0).choice(total, size, replace=False))
    queries = _rows(_blocks(images, bank), drawn)
    of_report = [bank.codes[best_reports(f, queries, bank.codes, k)[1]] for f in (find, exact)]
    recall = approximate.recall(*of_report)
    how = {"index": settings["index"], "effort": settings["effort"], "recall": recall}
    print(f"approximate search: recall of the {k} best {recall:.4f}, {size} images", flush=True)
    return find, how | {"sample": size}


def _reference(images: str, labels: str | None, bank: Bank) -> Callable[[], Iterator[np.ndarray]]:
    """Similarities of the train images to every report, block by block: (n, reports)."""
    samples = tables.read(labels, ["image_id", "split"])
    train = set(samples["image_id"]) - set(samples.loc[samples["split"] != "train", "image_id"])
    if not train:
        problem = "no image is in the train split alone, and a correction reads no others"
        raise InputError(labels, problem, "Use `pairing: retrieved`, or another split")
    similarities = banks.report_similarities(bank)
    size = max(1, min(BLOCK, SIMILARITIES // len(bank.vectors)))

    def blocks() -> Iterator[np.ndarray]:
        for ids, queries in _blocks(images, bank, size):
            used = np.array([name in train for name in ids.to_pylist()], bool)
            if used.any():
                yield similarities(queries[used])

    return blocks


def _blocks(images: str, bank: Bank, size: int | None = None) -> Iterator[tuple]:
    """Ids and unit vectors (n, d) of some images at a time, then a 1 if the bank has biases."""
    columns = ["image_id", "embedding"]
    for batch in tables.to_iterate(images).iter_batches(size or BLOCK, columns=columns):
        ids, column = batch.column("image_id"), batch.column("embedding")
        queries = column.flatten().to_numpy(zero_copy_only=False)
        queries = tables.unit(queries.reshape(len(batch), -1))
        banks.check_finite(images, ids.to_numpy(zero_copy_only=False), queries)
        if bank.vectors.shape[1] > queries.shape[1]:
            queries = np.column_stack([queries, np.ones(len(queries), np.float32)])
        yield ids, queries


def _rows(blocks: Iterable[tuple], wanted: np.ndarray) -> np.ndarray:
    """The vectors of some images, by their sorted places among all."""
    vectors, start = [], 0
    for ids, queries in blocks:
        here = wanted[(wanted >= start) & (wanted < start + len(ids))]
        vectors.append(queries[here - start])
        start += len(ids)
    return np.concatenate(vectors)


def _first_of_each(codes: np.ndarray) -> np.ndarray:
    """True where a code (n, m) occurs for the first time in its row."""
    order = np.argsort(codes, axis=1, kind="stable")
    ordered = np.take_along_axis(codes, order, axis=1)
    new = np.ones_like(ordered, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.empty_like(new)
    np.put_along_axis(first, order, new, axis=1)
    return first


def _table(
    ids: pa.Array, bank: Bank, bias: np.ndarray, scores: np.ndarray, rows: np.ndarray
) -> pa.Table:
    n, k = scores.shape
    flat, score = rows.reshape(-1), scores.reshape(-1)
    chunks = bank.chunks.iloc[flat]
    return pa.table(
        {
            "image_id": pa.array(np.repeat(ids.to_numpy(zero_copy_only=False), k), pa.string()),
            "rank": pa.array(np.tile(np.arange(1, k + 1, dtype=np.int32), n)),
            "report_id": pa.array(chunks["report_id"], pa.string()),
            "chunk": pa.array(chunks["chunk"].to_numpy(np.int32)),
            "similarity": pa.array(score - bias[bank.codes[flat]]),
            "score": pa.array(score),
        }
    )


def _check(images: str, texts: str, bank: Bank) -> int:
    """The number of images; InputError for none, or if texts have another number of dimensions."""
    file, dimensions = pq.ParquetFile(images), bank.vectors.shape[1]
    width, total = file.schema_arrow.field("embedding").type.list_size, file.metadata.num_rows
    if width != dimensions:
        problem = f"texts have {dimensions} dimensions, images of {images} have {width}"
        raise InputError(texts, problem, "The retriever must be one CLIP model with both towers")
    if not total:
        raise InputError(images, "it holds no image", "Rerun the dataset: read its audit")
    return total
