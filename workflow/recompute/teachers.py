"""What fixed teachers of CLIP-IT hold: the vectors that a run's `teacher_of` promises."""

from pathlib import Path

import numpy as np
import pandas as pd

from recompute import artifacts
from recompute.tally import Tally

FLOAT16 = 2e-3  # vectors are stored so, by the cache and by the run


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
        _one_each(tally, file, samples["labels"].map(lambda own: tuple(sorted(own))), vectors)
    elif method["teacher_of"] == "image":
        base = artifacts.made(labels)["params"]["entry"].get("of", dataset)
        folder = results / "embeddings" / method["retriever"]
        _same(tally, file, folder / f"{base}.images.parquet", samples["image_id"], vectors)
    elif method["pairing"] == "retrieved":
        _of_pairs(tally, results, file, method, samples["image_id"], vectors)


def _one_each(tally: Tally, file: Path, keys: pd.Series, vectors: np.ndarray) -> None:
    """Equal keys have the same vector, and others another."""
    distinct = pd.DataFrame(vectors).groupby(keys.to_numpy()).nunique().max(axis=1)
    tally.equal(file, "keys of several vectors", 0, (distinct > 1).sum())
    tally.equal(file, "distinct vectors", len(np.unique(vectors, axis=0)), keys.nunique())


def _same(tally: Tally, file: Path, cache: Path, keys: pd.Series, vectors: np.ndarray) -> None:
    """Vectors are those of the cache, at length 1."""
    place = pd.Index(artifacts.table(cache)[keys.name]).get_indexer(keys)
    found = artifacts.vectors(cache)[place]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    tally.equal(file, f"off from {cache.name}", 0, np.abs(found - vectors).max(), FLOAT16)


def _of_pairs(tally, results: Path, file: Path, method: dict, images: pd.Series, vectors) -> None:
    """Without a corrected pairing, whose file the run does not name."""
    dataset = file.relative_to(results).parts[1]
    known = sorted((results / "pairs" / method["retriever"]).glob(f"{dataset}.*.parquet"))
    known = [one for one in known if not artifacts.made(one).get("correction")]
    known = [one for one in known if method["corpus"] in ("", one.name.split(".")[1])]
    if method.get("correction") or method["word_dropout"] or len(known) != 1:
        tally.left += 1
        return
    pairs = artifacts.table(known[0])
    pairs = pairs[pairs["rank"] == method["rank"]].set_index("image_id").loc[images]
    keys = pd.Series(list(zip(pairs["report_id"], pairs["chunk"], strict=True)))
    distinct = pd.DataFrame(vectors).groupby(keys).nunique().max(axis=1)
    tally.equal(file, "chunks of several vectors", 0, (distinct > 1).sum())


CHECKS = [teachers]
