"""What the page shows of a dataset: tiles, labels, groups, what cleaning changed."""

import numpy as np
import pandas as pd

from histopair.datasets.splits import in_words
from histopair.evaluation import tasks
from histopair.files import tables
from histopair.pages import label_figures, label_samples, leak_table
from histopair.pages.thumbnails import thumbnail

TILES = 45  # on the page for each dataset, shared by its classes
TILE = 128  # pixels; shown at up to 96, so that dense screens stay sharp
SPLITS = ("train", "val", "test")
AUDIT_ROWS = 40


def context(name: str, entry: dict, base: dict, results: str, proposals: bool = False) -> dict:
    """One dataset: `entry` of the config, `base` the one whose samples it has, or itself.

    With `proposals`, also the merges proposed for its labels.
    """
    path = f"{results}/labels/{name}"
    labels, about = tables.read(f"{path}.parquet"), tables.about(f"{path}.parquet")
    quarantine = tables.read(f"{path}.quarantine.parquet").head(AUDIT_ROWS)
    cleaned = f"{results}/labels/{entry.get('of') or name}.audit.parquet"
    return {
        "name": name,
        **_origin(entry, base),
        **_classes(f"{path}.frequencies.parquet", about, became(cleaned)),
        **_pictures(labels, about, bool(entry.get("of"))),
        "published": base.get("published", {}),
        "bags": bags(labels),
        "images": labels["image_id"].nunique(),
        "samples": len(labels),
        "split": _in_words(entry.get("split") or {}, about.get("official") or []),
        "splits": splits(labels),
        "leaks": leak_table.context(f"{path}.leaks.parquet", labels, about["root"]),
        "audit": audit(f"{path}.audit.parquet"),
        "proposals": proposed(f"{path}.proposals.csv") if proposals else None,
        "quarantine": quarantine.to_dict("records"),
    }


def _in_words(split: dict, official: list[str]) -> str:
    """How a dataset is split; folds are made whatever the official split."""
    if "sites" in split:
        return "split by site"
    return in_words(split.get("by", "group"), [] if "folds" in split else official)


def _origin(entry: dict, base: dict) -> dict:
    """Where a dataset comes from and how it is split."""
    split = entry.get("split") or {}
    return {
        "of": entry.get("of"),
        "synthetic": base.get("synthetic", False),
        "description": entry.get("description") or base.get("description", ""),
        "licence": base.get("licence", "unknown"),
        "reader": base.get("reader", ""),
        "folds": 0 if "fold" in split else len(split.get("sites", ())) or split.get("folds", 0),
        "sites": split.get("sites", []),
    }


def _classes(frequencies: str, about: dict, became: dict[str, str | None]) -> dict:
    """A dataset's classes and how frequent its labels are."""
    table, several = tables.read(frequencies), _several(about)
    return {
        "several": several,
        "classes": about["classes"],
        "names": about.get("class_names", {}),
        "frequencies": table.to_dict("records"),
        "plot": label_figures.frequencies(table, became, several),
    }


def _pictures(labels: pd.DataFrame, about: dict, resplit: bool) -> dict:
    """Tiles and, for several labels, samples and labels that come together; none of a resplit."""
    several = _several(about) and not resplit
    return {
        "tiles": [] if resplit or "slides" in labels else tiles(labels, about),
        "examples": examples(labels, about) if several else [],
        "together": label_samples.co_occurrence(labels, about["classes"]) if several else None,
    }


def _several(about: dict) -> bool:
    return tasks.of(about["task"]).most_labels > 1


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
    """What became of each label that cleaning removed, by the audit; None for dropped ones."""
    table = tables.read(audit_table, ["step", "before", "after"])
    table = table[(table["step"] == "standardise") & table["before"].notna()].astype(object)
    after = table["after"].where(table["after"].notna(), None)
    steps = dict(zip(table["before"], after, strict=True))
    return {label: steps.get(other, other) for label, other in steps.items()}


def examples(labels: pd.DataFrame, about: dict) -> list[dict]:
    """A few samples with caption and labels, of different groups."""
    captioned = labels[labels["caption"].notna()]
    return label_samples.samples(about, spread(captioned, label_samples.SAMPLES))


def tiles(labels: pd.DataFrame, about: dict) -> list[dict]:
    """Rows of sample tiles, one per class, each tile of another group if there are enough."""
    classes = about["classes"]
    each = int(np.clip(TILES // max(1, len(classes)), 1, 8))
    rows = []
    for label in classes[:TILES]:
        of_class = labels[labels["labels"].map(lambda names, label=label: label in names)]
        pictures = [
            {"source": thumbnail(about["root"], tile.path, TILE), "path": tile.path}
            for tile in spread(of_class, each).itertuples()
        ]
        rows.append({"label": label, "tiles": [tile for tile in pictures if tile["source"]]})
    return rows


def spread(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` rows drawn with a fixed seed, as many different groups as possible."""
    shuffled = rows.drop_duplicates("image_id").sample(frac=1, random_state=0)
    turn = shuffled.groupby("group").cumcount()
    return shuffled.iloc[np.argsort(turn, kind="stable")[:count]]


def proposed(path: str) -> dict:
    """Proposed merges, and how many were left out."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return _head(table)


def audit(path: str) -> dict:
    """The audit's rows, the highest counts first, and how many were left out."""
    table = tables.read(path)
    table = table.sort_values("count", ascending=False, kind="stable").astype(object)
    return _head(table.where(table.notna(), None))


def _head(table: pd.DataFrame) -> dict:
    shown = table.head(AUDIT_ROWS)
    return {"rows": shown.to_dict("records"), "left_out": len(table) - len(shown)}
