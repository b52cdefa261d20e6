"""Datasets and corpora: files there and readable, columns, what their readers refuse, images.

Tables are read whole, and folders listed, as cleaning will do. Of images only some are opened:
cleaning opens all.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from histopair import images, readers
from histopair.datasets import sources, splits
from histopair.doctor import dry_cleaning
from histopair.doctor.rows import LATER, LOOK, MISSING, OK, WRONG, Row, checked, of_mistake
from histopair.errors import InputError
from histopair.files import tables
from histopair.plan import data, entries, needed, places

PHANTOM = os.path.join(places.RESULTS, "phantom", "")
LOOKED_UP, OPENED = 2000, 8  # images of a dataset, evenly spread
REMEDY = "Restore them, or set max_quarantined to the share that may be left out"


@dataclass
class Sizes:
    """Counts of what is there: images and captions by dataset, texts by corpus."""

    images: dict[str, int] = field(default_factory=dict)
    captions: dict[str, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)


def rows(config: dict, datasets: list[str], corpora: list[str], sizes: Sizes) -> Iterator[Row]:
    """The rows of some datasets and corpora, and of the tables of papers. Fills `sizes`."""
    for name in datasets:
        entry = config["datasets"][name]
        resplits = needed.resplits(config, name)
        read = partial(_samples, config, name, resplits, sizes)
        yield from _of_entry(f"dataset {name}", entry, read)
    for name in corpora:
        entry = config["corpora"][name]
        yield from _of_entry(f"corpus {name}", entry, partial(_reports, name, sizes))
    for name in entries.shown_studies(config):
        if path := config["studies"][name].get("published"):
            yield from _file(f"study {name}", path)


def _of_entry(check: str, entry: dict, read) -> Iterator[Row]:
    """The files of a dataset or corpus, then what its reader finds, if all of them are there."""
    faults = []
    for row in checked(check, lambda: _files(check, entry)):
        faults.append(row)
        yield row
    if faults:
        return
    yield from checked(check, lambda: _read(check, entry, read))


def _files(check: str, entry: dict) -> Iterator[Row]:
    """A row for each file that is not there, whether that is a fault or not."""
    paths = data.published(entry) + [entry[key] for key in ("truth",) if key in entry]
    root = os.path.normpath(entry.get("root", "."))
    if not os.path.lexists(root) and not _made_here(root):  # one row for all that is in it
        yield from _file(check, root)
        paths = [path for path in paths if not Path(os.path.normpath(path)).is_relative_to(root)]
    for path in paths:
        yield from _file(check, path)
    later = [path for path in map(os.path.normpath, paths) if _made_here(path)]
    later = [path for path in later if not os.path.exists(path)]
    for path in (path for path in later if not path.startswith(PHANTOM)):
        remedy = "Correct the path, unless a rule of yours makes it"
        yield Row(check, LOOK, f"no rule of histopair makes {path}", remedy)
    if later := [path for path in later if path.startswith(PHANTOM)]:
        more = f" and {len(later) - 1} more" if later[1:] else ""
        yield Row(check, LATER, f"the workflow makes {later[0]}{more}")


def _made_here(path: str) -> bool:
    return Path(path).parts[:1] == (places.RESULTS,)


def _file(check: str, path: str) -> Iterator[Row]:
    """A row for a path that is not there, and that the workflow does not make, or unreadable."""
    try:
        path = places.there(path)
        if os.path.exists(path) and not os.access(path, os.R_OK):
            yield Row(check, WRONG, f"{path}: there is no permission to read it", "chmod u+rX it")
    except InputError as mistake:
        row = of_mistake(check, mistake, MISSING)
        if source := sources.of_path(os.path.normpath(path)):
            row = replace(row, remedy=f"See the row `source {source}`, or correct the path")
        yield row


def _read(check: str, entry: dict, read) -> Iterator[Row]:
    data.check_headings(entry)
    yield from read(check, entry)


def _samples(
    config: dict, name: str, resplits: list[str], sizes: Sizes, check: str, entry: dict
) -> Iterator[Row]:
    """The rows of the samples of a dataset, of its images, and of its splits."""
    frame, audit = readers.find(entry["reader"]).read(entry)
    if frame.empty:
        raise InputError(entry.get("root", name), "no sample is left after reading", "Look at it")
    kind = "bags" if "features" in entry else "images"
    unique = frame.drop_duplicates("image_id")
    sizes.images[name] = len(unique)
    captions = frame["caption"].dropna() if "caption" in frame else pd.Series(dtype=str)
    sizes.captions[name] = captions.nunique()
    texts = f", {len(captions):,} captions" if len(captions) else ""
    yield Row(check, OK, f"{len(frame):,} samples of {len(unique):,} {kind}{texts}")
    if kind == "images":
        yield from _images(check, entry, list(unique["path"]))
    task, clean = frame.attrs["task"], dry_cleaning.cleaned(entry, name, frame, audit)
    yield from checked(check, lambda: _split(check, clean))
    if kind == "images" and entry["split"].get("by") not in splits.IGNORES_GROUPS:
        yield from _ungrouped(check, clean)
    for other in resplits:
        rows = partial(_resplit, config["datasets"][other], other, clean, task)
        yield from checked(f"dataset {other}", rows)


def _split(check: str, clean: pd.DataFrame) -> Iterator[Row]:
    """How many samples each split or fold has."""
    column = "fold" if "fold" in clean else "split"
    counts = clean[column].value_counts().sort_index()
    parts = ", ".join(f"{part} {count:,}" for part, count in counts.items())
    classes = clean["labels"].explode().nunique()
    yield Row(check, OK, f"{f'{classes} classes; ' if classes else ''}{column}: {parts}")


def _ungrouped(check: str, clean: pd.DataFrame) -> Iterator[Row]:
    """A row for samples whose patients are not known."""
    if unknown := clean["group"].isna().sum():
        finding = f"{unknown:,} samples name no patient: each image counts as one of its own"
        remedy = "If you know them, write them into the column `group`, or into groups.csv"
        yield Row(check, LOOK, finding, remedy)


def _resplit(entry: dict, name: str, clean: pd.DataFrame, task: str) -> Iterator[Row]:
    """No row for a resplit that is right: its faults are raised."""
    dry_cleaning.split_anew(clean, entry, name, task)
    yield from ()


def _images(check: str, entry: dict, paths: list[str]) -> Iterator[Row]:
    """What is wrong with some of a dataset's images: files that are not there, or do not open."""
    some, root = _spread(paths, LOOKED_UP), entry["root"]
    there = [path for path in some if os.path.exists(os.path.join(root, path.partition("#")[0]))]
    if gone := sorted(set(some) - set(there)):
        state = LOOK if len(gone) <= entry["max_quarantined"] * len(some) else WRONG
        finding = f"{len(gone)} of {len(some):,} images looked up are not there: {gone[0]}"
        yield Row(check, state, finding, REMEDY)
    opened = _spread(there, OPENED)
    if broken := [fault for path in opened if (fault := _broken(entry, path))]:
        finding = f"{len(broken)} of {len(opened)} images tried cannot be read: {broken[0]}"
        yield Row(check, WRONG if len(broken) == len(opened) else LOOK, finding, REMEDY)


def _broken(entry: dict, path: str) -> str | None:
    try:
        images.load(entry["root"], path, entry.get("max_pixels", images.MAX_PIXELS))
    except InputError as mistake:
        return f"{path} ({mistake.problem})"
    return None


def _reports(name: str, sizes: Sizes, check: str, entry: dict) -> Iterator[Row]:
    """How many reports of a corpus are there, and how many of them are of its organs."""
    frame, _ = readers.find(entry["reader"]).read(entry)
    if frame.empty:
        raise InputError(name, "no report is left after reading", "Look at its table")
    kept = dry_cleaning.of_organ(entry, name, frame)
    sizes.texts[name] = len(kept)
    of_all = f" of {len(frame):,}" if len(kept) < len(frame) else ""
    yield Row(check, OK, f"{len(kept):,}{of_all} reports")


def _spread(items: list, most: int) -> list:
    """At most so many items, evenly spread over all."""
    if len(items) <= most:
        return items
    return [items[i * len(items) // most] for i in range(most)]


def cleaned(datasets: list[str], sizes: Sizes) -> Iterator[Row]:
    """No rows: takes the counts of datasets that are cleaned already, which have fewer images."""
    for name in datasets:
        path = places.LABELS.format(dataset=name)
        if os.path.exists(path):
            names = set(pq.read_schema(path).names) & {"image_id", "caption"}
            counts = tables.read(path, sorted(names)).nunique()
            sizes.images[name] = int(counts["image_id"])
            sizes.captions[name] = int(counts.get("caption", 0))
    yield from ()
