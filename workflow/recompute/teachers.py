"""Fixed teachers of CLIP-IT: they hold the vectors that a run's `teacher_of` promises."""

from pathlib import Path

import numpy as np
import pandas as pd

from recompute import artifacts
from recompute.tally import Tally

FLOAT16 = 2e-3  # the cache and the run store vectors as float16


def teachers(results: Path) -> Tally:
    """Unit vectors: the image's own, one for each set of labels, or one for each paired chunk."""
    tally = Tally("vectors of teachers")
    for file in artifacts.run_files(results, "predictions.parquet"):
        with tally.reading(file):
            method = artifacts.method(file)
            if method.get("recipe") == "clip_it" and method["teacher"] == "fixed":
                vectors = artifacts.vectors(file, "teacher")
                off = np.abs(np.linalg.norm(vectors, axis=1) - 1).max()
                tally.equal(file, "length of vectors, less 1", 0, off, FLOAT16)
                _check(tally, results, file, method, vectors)
    return tally


def _check(tally: Tally, results: Path, file: Path, method: dict, vectors: np.ndarray) -> None:
    ids = artifacts.predictions(file).ids
    dataset = file.relative_to(results).parts[1]
    labels = results / "labels" / f"{dataset}.parquet"
    samples = artifacts.table(labels).set_index("sample_id").loc[ids]
    if method["teacher_of"] == "label-prompt":
        _one_each(tally, file, samples["labels"].map(lambda row: tuple(sorted(row))), vectors)
    elif method["teacher_of"] == "image":
        base = artifacts.metadata(labels)["params"]["entry"].get("of", dataset)
        folder = results / "embeddings" / method["retriever"]
        _same(tally, file, folder / f"{base}.images.parquet", samples["image_id"], vectors)
    elif method["pairing"] == "retrieved" and not method.get("wrong_pairs"):
        _of_pairs(tally, results, file, method, samples["image_id"], vectors)


def _one_each(tally: Tally, file: Path, keys: pd.Series, vectors: np.ndarray) -> None:
    """Equal keys have the same vector, and different keys have different ones."""
    distinct = pd.DataFrame(vectors).groupby(keys.to_numpy()).nunique().max(axis=1)
    tally.equal(file, "keys of several vectors", 0, (distinct > 1).sum())
    tally.equal(file, "distinct vectors", len(np.unique(vectors, axis=0)), keys.nunique())


def _same(tally: Tally, file: Path, cache: Path, keys: pd.Series, vectors: np.ndarray) -> None:
    """Vectors are the cache's, at length 1."""
    place = pd.Index(artifacts.table(cache)[keys.name]).get_indexer(keys)
    cached = artifacts.vectors(cache)[place]
    cached /= np.linalg.norm(cached, axis=1, keepdims=True)
    tally.equal(file, f"off from {cache.name}", 0, np.abs(cached - vectors).max(), FLOAT16)


def _of_pairs(tally, results: Path, file: Path, method: dict, images: pd.Series, vectors) -> None:
    """Skip a corrected pairing, as the run does not name its file."""
    dataset = file.relative_to(results).parts[1]
    files = sorted((results / "pairs" / method["retriever"]).glob(f"{dataset}.*.parquet"))
    files = [path for path in files if not artifacts.metadata(path).get("correction")]
    files = [path for path in files if method["corpus"] in ("", path.name.split(".")[1])]
    if method.get("correction") or method["word_dropout"] or len(files) != 1:
        tally.left += 1
        return
    pairs = artifacts.table(files[0])
    pairs = pairs[pairs["rank"] == method["rank"]].set_index("image_id").loc[images]
    keys = pd.Series(list(zip(pairs["report_id"], pairs["chunk"], strict=True)))
    distinct = pd.DataFrame(vectors).groupby(keys).nunique().max(axis=1)
    tally.equal(file, "chunks of several vectors", 0, (distinct > 1).sum())


CHECKS = [teachers]
