"""Whether a dataset can judge models that were trained on another one."""

import pandas as pd
import pyarrow as pa

from histopair.datasets import leaks, phash
from histopair.datasets.splits import TEST, TRAIN, VAL
from histopair.errors import InputError
from histopair.files import tables

COLUMNS = ["sample_id", "sha256", "phash", "group", "split"]


def check(labels: str, external: str, names: dict[str, str], output: str, about: dict) -> None:
    """Write what the test split of `external` shares with the train and val splits of `labels`.

    labels, external: labels parquets; names: of both, by "dataset" and "external". The table is
    that of `leaks.find`: split "test" is the external one. A group of the same name counts as
    shared, because only people can tell whether 17 there is 17 here. Raises InputError for other
    classes or another task, and for images of equal bytes, on which a model learnt the answer.
    """
    _same_classes(tables.about(labels), tables.about(external), names, external)
    ours, theirs = tables.read(labels, COLUMNS), tables.read(external, COLUMNS)
    ours, theirs = ours[ours.split.isin((TRAIN, VAL))], theirs[theirs.split == TEST]
    rows = leaks.find(pd.concat([theirs, ours], ignore_index=True))
    rows = rows[rows.split_a == TEST]
    images = int(rows.samples[rows.kind == "image"].sum())
    if images:
        problem = (
            f"{images} images of its test split are in the train or validation split of "
            f"{names['dataset']}"
        )
        remedy = f"Remove them from one of both, or {names['external']} from `evaluate_on`"
        raise InputError(external, problem, remedy)
    about = about | {"near": phash.NEAR}
    tables.write(output, pa.Table.from_pandas(rows, leaks.SCHEMA, preserve_index=False), about)


def _same_classes(ours: dict, theirs: dict, names: dict[str, str], external: str) -> None:
    if ours["task"] != theirs["task"]:
        problem = f"its task is {theirs['task']}, that of {names['dataset']} is {ours['task']}"
        raise InputError(external, problem, f"Remove {names['external']} from `evaluate_on`")
    only = {
        "it alone has": sorted(set(theirs["classes"]) - set(ours["classes"])),
        "it lacks": sorted(set(ours["classes"]) - set(theirs["classes"])),
    }
    parts = [f"{words} {', '.join(classes)}" for words, classes in only.items() if classes]
    if parts:
        problem = f"its classes are not those of {names['dataset']}: {'; '.join(parts)}"
        remedy = "Rename or drop labels with `labels_map`"
        raise InputError(external, problem, f"{remedy}, or remove it from `evaluate_on`")
