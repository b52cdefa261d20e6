"""Cleaning without images: labels, groups, sites, splits, organs; what it would refuse of them.

The steps are those of `datasets/labels.py`, `datasets/resplit.py` and `corpora/reports.py`. No
image is compared, so that samples of equal images may end in another split than here.
"""

import pandas as pd

from histopair.corpora import reports
from histopair.datasets import label_tables, labels, partition, quarantine, sites, standardise
from histopair.files import folding


def cleaned(entry: dict, name: str, frame: pd.DataFrame, rows: list[dict]) -> pd.DataFrame:
    """Samples as a reader gives them, with clean labels, and `split` or `fold`.

    rows: the reader's audit. Raises InputError as cleaning does.
    """
    info = dict(frame.attrs)
    if "features" not in entry:
        quarantine.check_read(frame, rows, entry, name)
        frame["group"], _ = folding.united(frame.group, "group")
    frame, _ = sites.of_samples(frame, entry, name)
    if "features" not in entry:
        raw = label_tables.counted(frame.labels)
        frame, _ = standardise.apply(frame, entry, name, info["classes"])
        # A public name would clean all data again.
        labels._classes(frame, [], raw, entry, info, name)
        frame = frame.assign(sha256=None, phash=None)
    return _split(frame, entry, name, info["task"])


def split_anew(frame: pd.DataFrame, entry: dict, name: str, task: str) -> pd.DataFrame:
    """The samples of a resplit, from those `cleaned`, whose `official` is the published split."""
    return _split(frame.assign(split=frame["official"]), entry, name, task)


def of_organ(entry: dict, name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The reports of the wanted organs. Raises InputError as cleaning does, if there is none."""
    if entry.get("organ") is None:  # to look for organs in texts takes seconds
        return frame
    return reports._of_organ(frame, entry, name, [])  # a public name would clean all reports again


def _split(frame: pd.DataFrame, entry: dict, name: str, task: str) -> pd.DataFrame:
    settings = {key: value for key, value in entry["split"].items() if key != "duplicates"}
    return partition.split(frame, entry | {"split": settings}, name, task)[0]
