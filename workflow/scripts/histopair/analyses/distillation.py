"""How much of the text the image side has learnt: g(v) and the paired text on held-out samples.

The frozen teacher is the retriever's own embedding of the text, which no training can bend. The
trained one taught the run, and may have collapsed: then all its texts are alike, and anything
predicts them.
"""

import numpy as np
import pandas as pd

from histopair.analyses import separability
from histopair.files import tables

TEACHERS = ("frozen", "trained")
VALUES = ("similarity", "shuffled", "rank", "alikeness")
COLUMNS = [
    "dataset",
    "encoder",
    "method",
    "teacher",
    *(f"{value}{end}" for value in VALUES for end in ("", "_std")),
    "dimensions",
    "n_texts",
    "n_seeds",
    "n_test",
]


def tabulate(runs: list[dict]) -> pd.DataFrame:
    """A row per dataset, encoder (column), method and teacher: means over seeds, and their std.

    runs: dicts of dataset, column, method, seed and the path `representations`. similarity: mean
    cosine of g(v) and the sample's own text; shuffled: of g(v) and every other sample's text. rank:
    effective rank of the distinct texts' embeddings; alikeness: the mean cosine of two of them.
    """
    keys = ["dataset", "encoder", "method", "teacher"]
    rows = [
        {"dataset": run["dataset"], "encoder": run["column"], "method": run["method"]} | row
        for run in runs
        for row in held_out(run["representations"])
    ]
    means = []
    for key, part in pd.DataFrame(rows).groupby(keys, sort=False):
        row = dict(zip(keys, key, strict=True)) | {"n_seeds": len(part)}
        for value in VALUES:
            row |= {value: part[value].mean(), f"{value}_std": part[value].std(ddof=1)}
        means.append(row | part.iloc[0][["dimensions", "n_texts", "n_test"]].to_dict())
    return pd.DataFrame(means, columns=COLUMNS)


def held_out(path: str) -> list[dict]:
    """The values of one run against both of TEACHERS."""
    texts = tables.read(path, ["text"])["text"].to_numpy()
    predicted = tables.matrix(path, "predicted")
    first = np.unique(texts, return_index=True)[1]
    rows = []
    for teacher in TEACHERS:
        embedded = tables.matrix(path, teacher)
        similarity, shuffled = separability.cosines(predicted, embedded)
        distinct = tables.unit(embedded[first])
        rows.append(
            {
                "teacher": teacher,
                "similarity": similarity,
                "shuffled": shuffled,
                "rank": separability.effective_rank(distinct),
                "alikeness": separability.alikeness(distinct),
                "dimensions": distinct.shape[1],
                "n_texts": len(first),
                "n_test": len(texts),
            }
        )
    return rows
