"""The four tables of a dataset: labels, audit, quarantine and frequencies."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain

import pandas as pd
import pyarrow as pa

from histopair.datasets.splits import TEST, TRAIN, VAL
from histopair.errors import require_classes
from histopair.files import audit, tables

TEXT, TEXTS = pa.string(), pa.list_(pa.string())
NAMES = ("sample_id", "image_id", "path", "sha256", "phash", "group", "split", "official")
LABELS = pa.schema([*((name, TEXT) for name in NAMES), ("labels", TEXTS), ("caption", TEXT)])
# Only of cross-validated datasets, of those with sites or amendments, and of bags with follow-up.
SOMETIMES = pa.schema(
    [
        ("fold", pa.int64()),
        ("site", TEXT),
        ("published", TEXTS),
        ("amended", TEXTS),
        ("amended_by", TEXT),
        ("time", pa.float64()),
        ("event", pa.bool_()),
        ("slides", TEXTS),
        ("patches", pa.int64()),
    ]
)
QUARANTINE = pa.schema([("path", TEXT), ("row", pa.int64()), ("reason", TEXT), ("remedy", TEXT)])


def counted(labels: pd.Series) -> Counter:
    """How many samples have each label."""
    return Counter(chain.from_iterable(labels))


def class_names(
    classes: list[str], given: dict | None, default: dict, name: str, labels: Iterable[str]
) -> dict[str, str]:
    """The text of each class: `given` by the config, else the format's `default`, else the label.

    Raises InputError if the config names what is neither a class nor another of the `labels` that
    dataset `name` had before cleaning.
    """
    given = given or {}
    others = {*default, *labels} - set(classes)
    require_classes(f"{name}: class_names", set(given) - others, classes)
    texts = default | {label: text for label, text in given.items() if text}
    return {label: texts.get(label) or label.replace("_", " ") for label in classes}


def write(
    frame: pd.DataFrame,
    rows: list[dict],
    quarantined: pd.DataFrame | None,
    raw: Counter,
    outputs: tuple[str, str, str, str],
    about: dict,
) -> None:
    """Write labels, audit rows, quarantine and, from `raw` counts and `frame`, frequencies."""
    labels, audit_table, quarantine, frequencies = outputs
    tables.write(audit_table, audit.table(rows), about)
    bad = QUARANTINE.empty_table()
    if quarantined is not None:
        bad = pa.Table.from_pandas(quarantined, QUARANTINE, False)
    tables.write(quarantine, bad, about)
    tables.write(frequencies, _frequencies(frame, raw), about)
    schema = pa.schema([*LABELS, *(field for field in SOMETIMES if field.name in frame)])
    tables.write(labels, pa.Table.from_pandas(frame[schema.names], schema, False), about)


def _frequencies(frame: pd.DataFrame, raw: Counter) -> pd.DataFrame:
    """One row per label, raw or clean: samples before and after cleaning, and in each split."""
    parts = {part: counted(frame.labels[frame.split == part]) for part in (TRAIN, VAL, TEST)}
    total = sum(parts.values(), Counter())
    names = sorted({*raw, *total})
    counts = {"raw": raw, "cleaned": total, **parts}
    columns = {name: [count[label] for label in names] for name, count in counts.items()}
    return pd.DataFrame({"label": pd.Series(names, dtype=object), **columns})
