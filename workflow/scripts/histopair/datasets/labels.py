"""From a dataset as published to clean labels: read, check images, standardise, split, audit."""

import pandas as pd

from histopair import readers
from histopair.datasets import label_tables, partition, quarantine, standardise
from histopair.errors import InputError


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

    In the folder `shards` stays what is known of images, so that they are decoded once.

    Raises InputError for bad input that would make the result wrong: see the entry's reader,
    `quarantine.check`, `standardise.apply` and `partition.split`.
    """
    reader = readers.find(entry["reader"])
    frame, read = reader.read(entry)
    place = f"{name} ({reader.inputs(entry)[0]})"
    info = dict(frame.attrs)
    if frame.empty:
        lost = "; ".join(f"{row['count']} rows dropped: {row['reason']}" for row in read)
        raise InputError(
            entry["root"], f"no sample is left after reading ({lost})", "Mend the data"
        )
    print(f"{name}: {len(frame)} samples of {frame.image_id.nunique()} images", flush=True)
    raw = label_tables.counted(frame.labels)
    frame, bad, set_aside = quarantine.check(frame, entry, place, shards, about.get("code"))
    frame, standardised = standardise.apply(frame, entry, place, info["classes"])
    _unique(frame, place)
    official = sorted(set(frame.split.dropna()))
    frame, odd = partition.split(frame, entry, name, info["task"])
    classes = sorted(label_tables.counted(frame.labels))
    mapped, _ = standardise.mapping(entry.get("labels_map"))
    labels_before = {*raw, *filter(None, mapped.values()), *(info["classes"] or ())}
    if len(classes) < 2:
        problem = f"'{classes[0]}' is its only class"
        raise InputError(place, problem, "Give it samples of at least two classes")
    about = about | {
        "task": info["task"],
        "classes": classes,
        "class_names": label_tables.class_names(
            classes, entry.get("class_names"), info["class_names"], place, labels_before
        ),
        "root": entry["root"],
        "official": official,
        "unit": entry.get("unit") or getattr(reader, "UNIT", "group"),
    }
    rows = read + set_aside + standardised + odd
    outputs = (labels, audit_table, quarantined, frequencies)
    label_tables.write(frame, rows, bad, raw, outputs, about)


def _unique(frame: pd.DataFrame, name: str) -> None:
    """Raise InputError where one id stands for samples of different content."""
    double = frame.sample_id.duplicated(keep=False)
    if double.any():
        pair = frame[frame.sample_id == frame.sample_id[double].iloc[0]].iloc[:2]
        raise InputError(
            name,
            f"the id '{pair.sample_id.iloc[0]}' stands for different samples: "
            f"{' and '.join(pair.path)}",
            "Give each sample an id of its own",
            " and ".join(pair.row.dropna().astype(int).astype(str)) or None,
        )
