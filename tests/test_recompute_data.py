"""The standing check names what was changed by hand in data, embeddings and pairs."""

import numpy as np
import pandas as pd
import pytest
from tampering import assert_named, cell, json_value, parquet_table


def _moved(frame: pd.DataFrame) -> pd.DataFrame:
    """One sample of a group of several in another split."""
    several = frame["group"].value_counts().index[0]
    row = frame.index[frame["group"] == several][0]
    other = {"train": "test", "val": "test", "test": "train"}[frame.loc[row, "split"]]
    return frame.assign(split=frame["split"].where(frame.index != row, other))


def _reversed(frame: pd.DataFrame) -> pd.DataFrame:
    """The five reports of each image, the worst first."""
    reports = frame["report_id"].to_numpy().reshape(-1, 5)[:, ::-1]
    return frame.assign(report_id=reports.ravel())


PAIRS = "pairs/phantom-clip/phantom-crc.phantom-colon"
CHUNKS = "chunks/phantom-clip/phantom-colon.parquet"
TAMPERED = {  # the check, the file, how it is changed, words of the disagreement
    "a count of labels": (
        "labels",
        "labels/phantom-bach.frequencies.parquet",
        parquet_table(cell("train", lambda n: n + 1)),
        "in train",
    ),
    "a patient on both sides": (
        "groups",
        "labels/phantom-quilt.parquet",
        parquet_table(_moved),
        "groups in ",
    ),
    "a lost vector": (
        "embeddings",
        "embeddings/phantom-clip/phantom-crc.images.parquet",
        parquet_table(lambda f: f.iloc[1:]),
        "all items",
    ),
    "a vector of NaN": (
        "embeddings",
        "embeddings/phantom-clip/phantom-crc.images.parquet",
        parquet_table(cell("embedding", lambda v: v * np.nan)),
        "not finite",
    ),
    "a rank": (
        "lists",
        f"{PAIRS}.parquet",
        parquet_table(cell("rank", lambda rank: 2)),
        "ranks",
    ),
    "a similarity": (
        "best_reports",
        f"{PAIRS}.parquet",
        parquet_table(cell("similarity", lambda s: s + 1e-3)),
        "similarity",
    ),
    "a worse report": (
        "best_reports",
        f"{PAIRS}.parquet",
        parquet_table(_reversed),
        "best report left",
    ),
    "a corrected pairing": (
        "best_reports",
        f"{PAIRS}.sinkhorn.parquet",
        parquet_table(cell("similarity", lambda s: s - 1e-3)),
        "similarity",
    ),
    "hubness": (
        "quality",
        f"{PAIRS}.quality.json",
        json_value("gini"),
        "gini",
    ),
    "a lost sentence": (
        "chunks",
        CHUNKS,
        parquet_table(cell("text", lambda text: text.split(maxsplit=1)[1])),
        "another text",
    ),
    "a lost chunk": (
        "chunks",
        CHUNKS,
        parquet_table(lambda f: f.iloc[:-1]),
        "sections",
    ),
    "a chunk above the context": (
        "chunks",
        CHUNKS,
        parquet_table(cell("n_tokens", lambda _: 33)),
        "above 32 tokens",
    ),
    "a number of tokens": (
        "tokens",
        CHUNKS,
        parquet_table(cell("n_tokens", lambda n: n - 1)),
        "tokens of row 0",
    ),
    "a pair with no chunk": (
        "paired",
        f"{PAIRS}.parquet",
        parquet_table(cell("chunk", lambda _: 99)),
        "chunks that do not exist",
    ),
}


@pytest.mark.parametrize("kind, name, change, words", TAMPERED.values(), ids=TAMPERED)
def test_what_is_changed_by_hand_is_named(finished_run, kind, name, change, words):
    assert_named(finished_run / "results", kind, name, change, words)
