"""Which text each sample is paired with while it is trained."""

import numpy as np
import pandas as pd

from histopair import tables
from histopair.errors import InputError


def texts_of(
    image_ids: pd.Series, pairing: str, rank: int, seed: int, reports: str, pairs: str | None
) -> tuple[list[str], np.ndarray]:
    """The distinct texts in use, and for each of n images the number of its text, (n,).

    pairing "retrieved" or "oracle": the text at `rank` (from 1) of the table `pairs`.
    pairing "random": any text of the corpus with equal chance, drawn by `seed`.
    """
    corpus = tables.read(reports, ["report_id", "chunk", "text"])
    if pairing == "random":
        chosen = np.random.default_rng(seed).integers(len(corpus), size=len(image_ids))
    else:
        chosen = _rows_of_pairs(image_ids, rank, corpus, pairs)
    used, index = np.unique(chosen, return_inverse=True)
    return list(corpus["text"].iloc[used]), index


def _rows_of_pairs(image_ids: pd.Series, rank: int, corpus: pd.DataFrame, pairs: str) -> np.ndarray:
    table = tables.read(pairs, ["image_id", "rank", "report_id", "chunk"])
    table = table[table["rank"] == rank].set_index("image_id")
    missing = ~image_ids.isin(table.index)
    if missing.any():
        raise InputError(
            pairs,
            f"image {image_ids[missing].iloc[0]!r} has no report at rank {rank}",
            "Set retrieval.k to at least the rank that the method uses",
        )
    wanted = table.loc[image_ids, ["report_id", "chunk"]]
    rows = pd.MultiIndex.from_frame(corpus[["report_id", "chunk"]])
    return rows.get_indexer(pd.MultiIndex.from_frame(wanted))
