"""Resplits: the samples of another dataset with another split."""

from collections import Counter

from histopair.datasets import label_tables, partition
from histopair.errors import InputError
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

    Raises InputError as `partition.split` does, and for labels of a version that did not keep the
    published split: another one would be split otherwise than its dataset.
    """
    facts = tables.about(source)
    frame = tables.read(source)
    frame["labels"] = frame.get("published", frame.labels).map(list)
    if "official" not in frame:
        problem = "an older version made it, without the column 'official'"
        raise InputError(source, problem, "Delete it, so that it is made again")
    frame["split"] = frame["official"]
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
