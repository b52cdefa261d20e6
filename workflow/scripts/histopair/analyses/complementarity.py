"""What a text method gets right where a vision method is wrong (CLIP-IT, Section 4.4, Fig. 4)."""

from pathlib import Path

import numpy as np
import pandas as pd

from histopair.errors import InputError
from histopair.evaluation import bootstrap, cells, tasks
from histopair.evaluation.tasks.labelled import by_group

# Which of the two is right, as in `places`; the paper's complementarity is "text alone".
CELLS = ("both", "vision alone", "text alone", "neither")
COLUMNS = ["dataset", "encoder", "vision", "text", "cell", "count", "share", "std"]
COLUMNS += ["low", "high", "independent", "counts", "n_seeds", "n_test", "n_groups"]


def tabulate(runs: list[dict], labels: dict[str, str | Path], pair: dict[str, str]) -> pd.DataFrame:
    """A row for each of CELLS in each dataset and encoder (the column), means over seeds.

    runs: dicts of dataset, column, method, seed and the path `predictions`; labels: labels parquet
    of each dataset, for the groups. pair: the methods, `vision` and `text`. share is of the test
    samples, with its standard deviation over seeds and the 95% interval under resampling of groups;
    independent: the share if the two were right independently of each other. Raises InputError for
    multi-label data, and if the two predict different samples.
    """
    paths: dict[tuple[str, str], dict[str, list]] = {}
    for run in sorted(runs, key=lambda run: run["seed"]):
        by_role = paths.setdefault((run["dataset"], run["column"]), {"vision": [], "text": []})
        for role in by_role:
            if run["method"] == pair[role]:
                by_role[role].append(run["predictions"])
    rows = [
        {"dataset": dataset, "encoder": column, **pair} | row
        for (dataset, column), by_role in paths.items()
        for row in _cell(by_role, labels[dataset])
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def places(vision: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Floats (..., 4), 1 for the one of CELLS that a sample falls into, from booleans (...)."""
    return np.eye(len(CELLS))[2 * ~vision + ~text]


def independent(vision: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Shares (4,) of CELLS if the rows (seeds, n) of both were right independently."""
    v, t = vision.mean(1), text.mean(1)
    return np.stack([v * t, v * (1 - t), (1 - v) * t, (1 - v) * (1 - t)], axis=1).mean(0)


def _cell(by_role: dict[str, list], labels: str | Path) -> list[dict]:
    first = cells.test_split(by_role["vision"][0])
    right = {role: _right(paths, first) for role, paths in by_role.items()}
    # A deterministic method has one seed: it is compared with each of the other's.
    vision, text = np.broadcast_arrays(right["vision"], right["text"])
    groups = cells.groups_of(labels, first["ids"])
    falls = places(vision, text)
    draws = bootstrap.resamples(groups)
    sums = by_group(falls.mean(0), groups)
    replicates = draws @ sums / (draws @ np.bincount(groups))[:, None]
    shares, counts, n_groups = falls.mean(1), falls.sum(1).astype(int), int(groups.max()) + 1
    chance = independent(vision, text)
    rows = []
    for place, cell in enumerate(CELLS):
        low, high = bootstrap.interval(replicates[:, place], n_groups)
        rows.append(
            {
                "cell": cell,
                "count": counts[:, place].mean(),
                "share": shares[:, place].mean(),
                "std": shares[:, place].std(ddof=1) if len(shares) > 1 else None,
                "low": low,
                "high": high,
                "independent": chance[place],
                "counts": ";".join(map(str, counts[:, place])),
                "n_seeds": len(shares),
                "n_test": len(first["ids"]),
                "n_groups": n_groups,
            }
        )
    return rows


def _right(paths: list[str], first: dict) -> np.ndarray:
    """Booleans (seeds, n): whether each run decides on the true class."""
    right = []
    for path in paths:
        split = cells.test_split(path)
        if tasks.of(split["task"]).most_labels != 1:
            problem = "complementarity needs a task of one label per sample"
            raise InputError(path, problem, "Leave `complementarity` out of this study")
        if split["ids"] != first["ids"] or not np.array_equal(split["truth"], first["truth"]):
            problem = "its test samples or labels differ from those of the other method"
            raise InputError(path, problem, "Delete the older run and rerun")
        right.append(split["scores"].argmax(1) == split["truth"].argmax(1))
    return np.array(right)
