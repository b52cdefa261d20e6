"""What the page shows of leaks between splits."""

import pandas as pd

from histopair.datasets import leaks
from histopair.files import tables
from histopair.pages.thumbnails import thumbnail

EXAMPLES = 4
PIXELS = 128
WORDS = {
    "group": "their group",
    "image": "their image, of the same bytes",
    "near": "an image that only looks the same",
}


def context(path: str, labels: pd.DataFrame, root: str) -> dict:
    """Counts of the leaks table at `path` by kind and crossing, and the nearest pairs of images."""
    table = tables.read(path)
    sizes = labels["split"].value_counts()
    crossings = [
        {"a": a, "b": b, "size": int(sizes.get(a, 0))}
        for a, b in leaks.CROSSINGS
        if sizes.get(a, 0) and sizes.get(b, 0)
    ]
    rows = [
        {"kind": WORDS[kind], "cells": [_cell(table, kind, **crossing) for crossing in crossings]}
        for kind in leaks.KINDS
    ]
    to_test = _between(table, "test", "train")
    near = table[table["kind"] == "near"]
    return {
        "bits": tables.about(path)["near"],
        "crossings": crossings,
        "rows": rows,
        "test": int(sizes.get("test", 0)),
        **{kind: _samples(to_test, kind) for kind in ("group", "image")},
        "crossing": int((table["kind"] != "near").sum()),
        "near": len(near),
        "samples": len(labels),
        "ungrouped": int(labels["group"].isna().sum()),
        "examples": _examples(near, labels, root),
    }


def _cell(table: pd.DataFrame, kind: str, a: str, b: str, size: int) -> dict:
    samples = _samples(_between(table, a, b), kind)
    return {"samples": samples, "share": samples / size}


def _between(table: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    return table[(table["split_a"] == a) & (table["split_b"] == b)]


def _samples(rows: pd.DataFrame, kind: str) -> int:
    return int(rows["samples"][rows["kind"] == kind].sum())


def _examples(near: pd.DataFrame, labels: pd.DataFrame, root: str) -> list[dict]:
    """The nearest pairs side by side, those of different groups first."""
    near = near.assign(same=near["group_a"] == near["group_b"])
    nearest = near.sort_values(["same", "distance"], kind="stable").head(EXAMPLES)
    by_id = labels.set_index("sample_id")["path"]
    pairs = [
        {
            "pictures": [
                {
                    "source": thumbnail(root, by_id[row[f"sample_{side}"]], PIXELS),
                    "path": by_id[row[f"sample_{side}"]],
                    "split": row[f"split_{side}"],
                    "group": row[f"group_{side}"],
                }
                for side in "ab"
            ],
            "distance": int(row["distance"]),
        }
        for row in nearest.to_dict("records")
    ]
    return [pair for pair in pairs if all(picture["source"] for picture in pair["pictures"])]
