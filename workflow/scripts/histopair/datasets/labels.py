"""From a dataset as published to clean labels: read, check images, standardise, split, audit."""

from collections import Counter
from types import ModuleType

import pandas as pd

from histopair import readers
from histopair.datasets import amendments, label_tables, partition, quarantine, sites, standardise
from histopair.errors import InputError
from histopair.files import audit, folding, labels_map, sheets


def clean(
    entry: dict,
    name: str,
    labels: str,
    audit_table: str,
    quarantined: str,
    frequencies: str,
    about: dict,
    shards: str | None = None,
) -> None:
    """Write the four tables of dataset `name` from its config `entry`.

    The folder `shards` keeps the results of image checks, so that images are decoded once.

    Raises InputError for bad input that would make the result wrong: see the entry's reader,
    `quarantine`, `standardise.apply` and `partition.split`. The audit is then kept (`audit.kept`).
    """
    reader = readers.find(entry["reader"])
    with audit.kept(audit_table, about) as rows:
        if getattr(reader, "BAGS", False):
            frame, facts = _bags(reader, entry, name, rows)
            bad, raw = None, Counter()
        else:
            frame, bad, raw, facts = _images(reader, entry, name, rows, shards, about.get("code"))
    outputs = (labels, audit_table, quarantined, frequencies)
    label_tables.write(frame, rows, bad, raw, outputs, about | facts)


def _bags(reader: ModuleType, entry: dict, name: str, rows: list[dict]) -> tuple:
    """(frame, facts about the dataset); fills the audit `rows`."""
    frame, read = reader.read(entry)
    rows += read
    if frame.empty:
        raise frame.attrs["nothing"]
    print(f"{name}: {len(frame)} bags", flush=True)
    info = dict(frame.attrs)
    place = reader.inputs(entry)[0]
    frame, united = sites.of_samples(frame, entry, place)
    frame, odd = partition.split(frame, entry, place, info["task"])
    rows += united + odd
    kept = {key: entry[key] for key in ("max_patches", "time_unit") if key in entry}
    return frame, info | kept | {"root": "", "official": [], "unit": reader.UNIT}


def _images(
    reader: ModuleType, entry: dict, name: str, rows: list[dict], shards: str | None, code: str
) -> tuple:
    """(frame, quarantined rows, counts of raw labels, facts about the dataset); fills `rows`."""
    frame, read = reader.read(entry)
    rows += read
    place = f"{name} ({reader.inputs(entry)[0]})"
    info = dict(frame.attrs)
    _some_left(frame, entry, rows)
    print(f"{name}: {len(frame)} samples of {frame.image_id.nunique()} images", flush=True)
    quarantine.check_read(frame, rows, entry, place)
    frame["group"], united = folding.united(frame.group, "group")
    frame, sited = sites.of_samples(frame, entry, place)
    rows += united + sited
    raw = label_tables.counted(frame.labels)
    frame, bad = quarantine.check(frame, entry, place, rows, shards, code)
    frame, standardised = standardise.apply(frame, entry, place, info["classes"])
    rows += standardised
    _unique(frame, place)
    frame = amendments.attach(frame, entry.get("amendments"), info["task"], name)
    official = sorted(set(frame.split.dropna()))
    frame, odd = partition.split(frame, entry, name, info["task"])
    rows += odd
    unit = entry.get("unit") or getattr(reader, "UNIT", "group")
    facts = {"task": info["task"], "root": entry["root"], "official": official, "unit": unit}
    facts |= {key: entry[key] for key in ("amended_splits",) if key in entry}
    return frame, bad, raw, facts | _classes(frame, rows, raw, entry, info, place)


def _some_left(frame: pd.DataFrame, entry: dict, rows: list[dict]) -> None:
    """Raise InputError, with what was dropped, if no sample is left."""
    if frame.empty:
        dropped = (row for row in rows if row["action"] == "dropped")
        lost = "; ".join(f"{row['count']} rows dropped: {row['reason']}" for row in dropped)
        problem = f"no sample is left after reading ({lost})"
        raise InputError(entry["root"], problem, "Correct the data")


def _classes(
    frame: pd.DataFrame, rows: list[dict], raw: Counter, entry: dict, info: dict, place: str
) -> dict:
    """The classes of the clean labels, and their texts; InputError for fewer than two.

    The text of a label that cleaning renamed is that of its class. If labels of several texts
    became one class, it has none of them, and the audit `rows` say so.
    """
    classes = sorted(label_tables.counted(frame.labels))
    mapped, _ = labels_map.read(entry.get("labels_map"))
    labels_before = {*raw, *filter(None, mapped.values()), *(info["classes"] or ())}
    if len(classes) < 2:
        problem = f"'{classes[0]}' is its only class"
        raise InputError(place, problem, "Give it samples of at least two classes")
    given = {name: text for name, text in (entry.get("class_names") or {}).items() if text}
    inherited, several = standardise.names(frame, given, info["class_names"])
    rows += several
    names = label_tables.class_names(
        classes, entry.get("class_names"), inherited | info["class_names"], place, labels_before
    )
    return {"classes": classes, "class_names": names}


def _unique(frame: pd.DataFrame, name: str) -> None:
    """Raise InputError if one id stands for samples of different content."""
    pair = sheets.twins(frame, frame.sample_id).iloc[:2]
    if len(pair):
        samples = " and ".join(pair.path)
        problem = f"the id '{pair.sample_id.iloc[0]}' stands for different samples: {samples}"
        rows = " and ".join(pair.row.dropna().astype(int).astype(str)) or None
        raise InputError(name, problem, "Give each sample an id of its own", rows)
