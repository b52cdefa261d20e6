"""Resplits: the samples of another dataset with another split."""

from collections import Counter

import pandas as pd

from histopair.datasets import label_tables, partition
from histopair.datasets.splits import TRAIN
from histopair.files import audit, tables

INHERITED = ("task", "classes", "class_names", "root", "official", "unit")
INHERITED += ("max_patches", "time_unit", "amended_splits")


def resplit(
    source: str,
    source_frequencies: str,
    entry: dict,
    name: str,
    labels: str,
    audit_table: str,
    quarantine: str,
    frequencies: str,
    about: dict,
) -> None:
    """Write the resplit `name`: the samples of the labels at `source`, split as its entry says.

    Raises InputError as `partition.split` does.
    """
    facts = tables.about(source)
    frame = tables.read(source)
    frame["labels"] = frame.get("published", frame.labels).map(list)
    frame["split"] = _official(frame.split, facts["official"])
    rows = [audit.row("read", "kept", entry["of"], "samples of that dataset", count=len(frame))]
    amended = {key: facts[key] for key in ("amended_splits",) if key in facts}
    frame, odd = partition.split(frame, entry | amended, name, facts["task"])
    counts = tables.read(source_frequencies, ["label", "raw"])
    raw = Counter(dict(zip(counts.label, counts.raw, strict=True)))
    about = about | {key: facts[key] for key in INHERITED if key in facts}
    if most := (entry.get("split") or {}).get("labels"):
        about["labels_per_class"] = most
    about["class_names"] = label_tables.class_names(
        facts["classes"], entry.get("class_names"), facts["class_names"], name, raw
    )
    outputs = (labels, audit_table, quarantine, frequencies)
    label_tables.write(frame, rows + odd, None, raw, outputs, about)


def _official(split: pd.Series, official: list[str]) -> pd.Series:
    """A dataset's official split, from its present one: parts carved from train go back."""
    if not official:
        return pd.Series(None, index=split.index, dtype=object)
    return split.where(split.isin(official), TRAIN)
