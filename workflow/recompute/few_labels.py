"""Which samples of a run are labelled where labels are few, drawn again one by one."""

import hashlib
from collections import Counter

import numpy as np
import pandas as pd


def labelled(samples: pd.DataFrame, about: dict, seed: int) -> pd.DataFrame:
    """The samples that a run of this seed knows the labels of: all of test, few of train and val.

    samples, about: a labels parquet and its metadata.
    """
    most = about.get("labels_per_class")
    if not most:
        return samples
    kept = [samples[samples["split"] == "test"]]
    for split in ("train", "val"):
        part = samples[samples["split"] == split]
        kept.append(part[_first(part, most, _seed(seed, "labels", split))])
    return pd.concat(kept).sort_index()


def _first(samples: pd.DataFrame, most: int, seed: int) -> list[bool]:
    """Of each class the first samples, one of each patient before a second, by a draw."""
    names = sorted(samples["sample_id"])
    draw = dict(zip(names, np.random.default_rng(seed).random(len(names)), strict=True))
    queue = sorted(samples.to_dict("records"), key=lambda row: draw[row["sample_id"]])
    turns: Counter = Counter()
    by_class: dict[str, list] = {}
    for row in queue:
        patient = row["group"] if isinstance(row["group"], str) else ("lone", row["image_id"])
        for label in row["labels"]:
            place = turns[label, patient], draw[row["sample_id"]], row["sample_id"]
            by_class.setdefault(label, []).append(place)
            turns[label, patient] += 1
    known = {name for places in by_class.values() for _, _, name in sorted(places)[:most]}
    return [name in known for name in samples["sample_id"]]


def _seed(*parts: object) -> int:
    """The first 63 bits of the sha256 of all parts, joined by zero bytes."""
    text = "\0".join(str(part) for part in parts)
    return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) // 2
