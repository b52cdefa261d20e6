"""Reads a results folder: runs, predictions, vectors and how a file was made."""

import json
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

_memories = []


def remembered(function: Callable) -> Callable:
    """Keep what a function returns for several files until `forget`."""
    _memories.append(cache(function))
    return _memories[-1]


def forget() -> None:
    """Drop what is kept, as files may have changed."""
    for memory in _memories:
        memory.cache_clear()


def of_one_file(function: Callable) -> Callable:
    """Keep what a function returns for a file, its first argument, until that file changes."""
    results: dict = {}

    @wraps(function)
    def kept(file: Path, *more):
        status = file.stat()
        key = (file, status.st_mtime_ns, status.st_size, *more)
        if key not in results:
            results[key] = function(file, *more)
        return results[key]

    return kept


class Predictions(NamedTuple):
    """Samples of a run: truth and scores (n, C); for survival truth is time and event, (n, 2).

    `fold` is the fold in which each sample is predicted, None where there are none. For survival,
    `others` holds, by fold, the times and events of the other samples, on which metrics depend.
    """

    ids: np.ndarray
    split: np.ndarray
    truth: np.ndarray
    scores: np.ndarray
    classes: list[str]
    task: str
    fold: np.ndarray | None = None
    others: dict[int, np.ndarray] | None = None

    def of(self, split: str) -> "Predictions":
        """Those of one split, by sample id."""
        rows = np.flatnonzero(self.split == split)
        rows = rows[np.argsort(self.ids[rows], kind="stable")]
        arrays = (array[rows] for array in self[:4])
        if self.fold is None:
            return Predictions(*arrays, self.classes, self.task)
        if self.task != "survival":
            return Predictions(*arrays, self.classes, self.task, self.fold[rows])
        beside = np.isin(self.split, ("train", "val") if split == "test" else ("train",))
        folds = np.unique(self.fold[rows])
        others = {fold: self.truth[beside & (self.fold == fold)] for fold in folds}
        return Predictions(*arrays, self.classes, self.task, self.fold[rows], others)


@of_one_file
def predictions(file: Path) -> Predictions:
    table, about = pq.read_table(file), metadata(file)
    classes = about["classes"]
    ids, split = (np.array(table[name].to_pylist(), object) for name in ("sample_id", "split"))
    scores = vectors(file, "scores")
    if about["task"] == "survival":
        truth = np.stack([table[name].to_numpy().astype(float) for name in ("time", "event")], 1)
        fold = table["fold"].to_numpy() if "fold" in table.column_names else np.ones(len(ids), int)
        return Predictions(ids, split, truth, scores, classes, "survival", fold)
    labels = table["labels"].to_pylist()
    truth = np.array([[name in row for name in classes] for row in labels], bool)
    fold = table["fold"].to_numpy() if "fold" in table.column_names else None
    return Predictions(ids, split, truth, scores, classes, about["task"], fold)


def vectors(file: Path, column: str = "embedding") -> np.ndarray:
    """A column of vectors as float64 (n, d)."""
    lists = pq.read_table(file, columns=[column])[column].combine_chunks()
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(lists), -1).astype(np.float64)


def table(file: Path, columns: list[str] | None = None) -> pd.DataFrame:
    return pq.read_table(file, columns=columns).to_pandas()


def csv(file: Path) -> pd.DataFrame:
    """A study's table. Names stay text even if they look like numbers."""
    names = ("study", "dataset", "encoder", "method", "own_encoder", "reference", "class", "values")
    names += ("lower", "upper", "better", "worse", "random", "cohort", "external", "site", "seeds")
    rows = pd.read_csv(file, dtype=dict.fromkeys(names, str), keep_default_na=False, na_values=[""])
    return rows.astype({name: object for name in names if name in rows})


@of_one_file
def metadata(file: Path) -> dict:
    """How a parquet file was made: its metadata `histopair`."""
    return json.loads((pq.read_schema(file).metadata or {}).get(b"histopair", b"{}"))


def method(file: Path) -> dict:
    """The parameters of a run's method; none where runs of folds are joined."""
    return ((metadata(file).get("params") or {}).get("run") or {}).get("method") or {}


def read_json(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def run_files(results: Path, name: str) -> list[Path]:
    """That file of all runs: runs/{dataset}/{encoder}/{method}/{seed}/."""
    return sorted(results.glob(f"runs/*/*/*/*/{name}"))
