"""Reading a results folder: runs, predictions, vectors and what made a file."""

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
    """What a function made of several files is kept until `forget`."""
    _memories.append(cache(function))
    return _memories[-1]


def forget() -> None:
    """Files may have changed since they were read."""
    for memory in _memories:
        memory.cache_clear()


def of_one_file(function: Callable) -> Callable:
    """What a function made of its first argument is kept as long as that file is as it was."""
    known: dict = {}

    @wraps(function)
    def kept(file: Path, *more):
        found = file.stat()
        key = (file, found.st_mtime_ns, found.st_size, *more)
        if key not in known:
            known[key] = function(file, *more)
        return known[key]

    return kept


class Predictions(NamedTuple):
    """Samples of a run's val and test split: truth and scores (n, C)."""

    ids: np.ndarray
    split: np.ndarray
    truth: np.ndarray
    scores: np.ndarray
    classes: list[str]
    task: str

    def of(self, split: str) -> "Predictions":
        """Those of one split, by sample id."""
        rows = np.flatnonzero(self.split == split)
        rows = rows[np.argsort(self.ids[rows], kind="stable")]
        arrays = (array[rows] for array in self[:4])
        return Predictions(*arrays, self.classes, self.task)


@of_one_file
def predictions(file: Path) -> Predictions:
    table, about = pq.read_table(file), made(file)
    classes = about["classes"]
    labels = table["labels"].to_pylist()
    truth = np.array([[name in own for name in classes] for own in labels], bool)
    ids, split = (np.array(table[name].to_pylist(), object) for name in ("sample_id", "split"))
    return Predictions(ids, split, truth, vectors(file, "scores"), classes, about["task"])


def vectors(file: Path, column: str = "embedding") -> np.ndarray:
    """A column of vectors as float64 (n, d)."""
    lists = pq.read_table(file, columns=[column])[column].combine_chunks()
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(lists), -1).astype(np.float64)


def table(file: Path, columns: list[str] | None = None) -> pd.DataFrame:
    return pq.read_table(file, columns=columns).to_pandas()


def csv(file: Path) -> pd.DataFrame:
    """A study's table; names stay text, whatever they look like."""
    names = ("study", "dataset", "encoder", "method", "own_encoder", "reference", "class", "values")
    names += ("lower", "upper", "better", "worse", "random", "cohort")
    read = pd.read_csv(file, dtype=dict.fromkeys(names, str), keep_default_na=False, na_values=[""])
    return read.astype({name: object for name in names if name in read})


@of_one_file
def made(file: Path) -> dict:
    """What made a parquet file: its metadata `histopair`."""
    return json.loads((pq.read_schema(file).metadata or {}).get(b"histopair", b"{}"))


def read_json(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def run_files(results: Path, name: str) -> list[Path]:
    """That file of all runs: runs/{dataset}/{encoder}/{method}/{seed}/."""
    return sorted(results.glob(f"runs/*/*/*/*/{name}"))
