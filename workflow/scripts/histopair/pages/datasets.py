"""What the page shows of a dataset: tiles, labels, groups, what cleaning did."""

import numpy as np
import pandas as pd

from histopair.files import tables
from histopair.pages import label_figures, label_samples, leak_table
from histopair.pages.thumbnails import thumbnail

TILES = 45  # on the page for each dataset, shared by its classes
TILE = 128  # pixels; shown at up to 96, so that dense screens stay sharp
SPLITS = ("train", "val", "test")
AUDIT_ROWS = 40


def context(name: str, entry: dict, base: dict, results: str, proposals: bool = False) -> dict:
    """One dataset: `entry` of the config, `base` the one whose samples it has, or itself.

    With `proposals` the merges that were proposed for its labels.
    """
    path = f"{results}/labels/{name}"
    labels = tables.read(f"{path}.parquet")
    made = tables.about(f"{path}.parquet")
    frequencies = tables.read(f"{path}.frequencies.parquet")
    view_of = entry.get("of")
    split = entry.get("split") or {}
    several = made["task"] == "multi" and not view_of
    return {
        "name": name,
        "of": view_of,
        "synthetic": base.get("synthetic", False),
        "description": entry.get("description") or base.get("description", ""),
        "licence": base.get("licence", "unknown"),
        "reader": base.get("reader", ""),
        "task": made["task"],
        "bags": bags(labels),
        "folds": 0 if "fold" in split else split.get("folds", 0),
        "split_by": split.get("by", "group"),
        "official": [part for part in SPLITS if part in (made.get("official") or [])],
        "classes": made["classes"],
        "published": base.get("published", {}),
        "names": made.get("class_names", {}),
        "images": labels["image_id"].nunique(),
        "samples": len(labels),
        "splits": splits(labels),
        "leaks": leak_table.context(f"{path}.leaks.parquet", labels, made["root"]),
        "frequencies": frequencies.to_dict("records"),
        "plot": label_figures.frequencies(
            frequencies, made["task"], became(f"{results}/labels/{view_of or name}.audit.parquet")
        ),
        "tiles": [] if view_of or "slides" in labels else tiles(labels, made),
        "examples": examples(labels, made) if several else [],
        "together": label_samples.co_occurrence(labels, made["classes"]) if several else None,
        "audit": audit(f"{path}.audit.parquet"),
        "proposals": proposed(f"{path}.proposals.csv") if proposals else None,
        "quarantine": tables.read(f"{path}.quarantine.parquet").head(AUDIT_ROWS).to_dict("records"),
    }


def bags(labels: pd.DataFrame) -> dict | None:
    """How many events, slides and patches a dataset of bags has; None for one of images."""
    if "slides" not in labels:
        return None
    slides = int(labels["slides"].str.len().sum())
    patches, events = (int(labels[name].sum()) for name in ("patches", "event"))
    return {"events": events, "slides": slides, "patches": patches}


def splits(labels: pd.DataFrame) -> list[dict]:
    """Samples, images and groups of each split."""
    return [
        {
            "split": split,
            "samples": len(rows),
            "images": rows["image_id"].nunique(),
            "groups": rows["group"].nunique(),
        }
        for split in SPLITS
        for rows in [labels[labels["split"] == split]]
    ]


def became(audit_table: str) -> dict[str, str | None]:
    """What the audit says of each label that cleaning did away with; None for dropped ones."""
    table = tables.read(audit_table, ["step", "before", "after"])
    table = table[(table["step"] == "standardise") & table["before"].notna()].astype(object)
    after = table["after"].where(table["after"].notna(), None)
    steps = dict(zip(table["before"], after, strict=True))
    return {label: steps.get(other, other) for label, other in steps.items()}


def examples(labels: pd.DataFrame, made: dict) -> list[dict]:
    """A few samples with caption and labels, of different groups."""
    captioned = labels[labels["caption"].notna()]
    return label_samples.samples(made, spread(captioned, label_samples.SAMPLES))


def tiles(labels: pd.DataFrame, made: dict) -> list[dict]:
    """Rows of sample tiles, one per class, each tile of another group where there are enough."""
    classes = made["classes"]
    each = int(np.clip(TILES // max(1, len(classes)), 1, 8))
    rows = []
    for label in classes[:TILES]:
        own = labels[labels["labels"].map(lambda found, label=label: label in found)]
        chosen = spread(own, each)
        pictures = [
            {"source": thumbnail(made["root"], tile.path, TILE), "path": tile.path}
            for tile in chosen.itertuples()
        ]
        rows.append({"label": label, "tiles": [tile for tile in pictures if tile["source"]]})
    return rows


def spread(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` rows drawn with a fixed seed, groups not yet shown before those shown."""
    shuffled = rows.drop_duplicates("image_id").sample(frac=1, random_state=0)
    turn = shuffled.groupby("group").cumcount()
    return shuffled.iloc[np.argsort(turn, kind="stable")[:count]]


def proposed(path: str) -> dict:
    """Proposed merges, and how many were left out."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return {
        "rows": table.head(AUDIT_ROWS).to_dict("records"),
        "left_out": max(0, len(table) - AUDIT_ROWS),
    }


def audit(path: str) -> dict:
    """The audit's rows, the weightiest first, and how many were left out."""
    table = tables.read(path)
    table = table.sort_values("count", ascending=False, kind="stable")
    rows = table.head(AUDIT_ROWS).astype(object)
    rows = rows.where(rows.notna(), None)
    return {"rows": rows.to_dict("records"), "left_out": max(0, len(table) - AUDIT_ROWS)}
