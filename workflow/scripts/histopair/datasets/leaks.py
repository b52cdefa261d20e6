"""Leaks between splits: shared groups, images of equal bytes, and images that look the same."""

import pandas as pd
import pyarrow as pa

from histopair.datasets import phash
from histopair.datasets.splits import TEST, TRAIN, VAL
from histopair.files import tables

# What is scored, and where it may have been seen.
CROSSINGS = ((TEST, TRAIN), (TEST, VAL), (VAL, TRAIN))
KINDS = ("group", "image", "near")
TEXTS = ("kind", "split_a", "split_b", "sample_a", "sample_b", "group_a", "group_b")
COUNTS = (("distance", pa.int32()), ("samples", pa.int64()))
SCHEMA = pa.schema([*((name, pa.string()) for name in TEXTS), *COUNTS])


def write(labels: str, output: str, about: dict) -> None:
    """Write the leaks between the splits of the labels table at `labels`."""
    columns = ["sample_id", "sha256", "phash", "group", "split"]
    rows = find(tables.read(labels, columns))
    about = about | {"near": phash.NEAR}
    tables.write(output, pa.Table.from_pandas(rows, SCHEMA, preserve_index=False), about)


def find(frame: pd.DataFrame) -> pd.DataFrame:
    """Leaks: a row for each group or image of split a that is also in split b.

    kind: "group" for a group on both sides; "image" for equal bytes; "near" for an image whose
    perceptual hash differs from another's in at most `phash.NEAR` of 63 bits, however turned or
    mirrored, if its own bytes are not on the other side. sample_a and sample_b are its first
    samples, or those of its nearest image; `samples` counts the samples of split a concerned.
    """
    frame = frame.sort_values("sample_id", kind="stable")
    parts = {name: part for name, part in frame.groupby("split")}
    leaks = [
        rows.assign(kind=kind, split_a=a, split_b=b)
        for a, b in CROSSINGS
        if a in parts and b in parts
        for kind, rows in zip(KINDS, _between(parts[a], parts[b]), strict=True)
        if len(rows)
    ]
    empty = SCHEMA.empty_table().to_pandas()
    return pd.concat([empty, *leaks], ignore_index=True)[SCHEMA.names]


def _between(a: pd.DataFrame, b: pd.DataFrame) -> list[pd.DataFrame]:
    """What split a shares with split b, for each of KINDS."""
    near = _near(a[~a.sha256.isin(b.sha256)], b)
    return [_shared(a, b, "group"), _shared(a, b, "sha256").assign(distance=0), near]


def _shared(a: pd.DataFrame, b: pd.DataFrame, key: str) -> pd.DataFrame:
    """What has the same `key` in both."""
    return _side_by_side(_distinct(a, key), _distinct(b, key))


def _near(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """For each image of `a` the nearest of `b`, if one is near enough."""
    left, right = _distinct(a.dropna(subset="phash"), "sha256"), _distinct(b, "phash")
    code, hashes = pd.factorize(left.phash)
    best, distance = phash.nearest(phash.numbers(hashes), phash.numbers(right.index))
    best, distance = best[code], distance[code]
    left, right = left[best >= 0], right.iloc[best[best >= 0]]
    return _side_by_side(left, right.set_axis(left.index)).assign(distance=distance[best >= 0])


def _distinct(frame: pd.DataFrame, key: str) -> pd.DataFrame:
    """For each value of `key`: the first sample that has it, and how many have it."""
    frame = frame.dropna(subset=[key]).rename(columns={"sample_id": "sample"})
    counts = frame.groupby(key).size()
    first = frame.drop_duplicates(key).set_index(key, drop=False)
    return first.assign(samples=counts)


def _side_by_side(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    columns = ["sample", "group"]
    rows = a[columns].add_suffix("_a").join(b[columns].add_suffix("_b"), how="inner")
    return rows.assign(samples=a.samples.loc[rows.index])
