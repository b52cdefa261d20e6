"""Readers of dataset formats: a file or folder each, found by the config's `reader:`.

A reader of labelled images has two or three functions.

`inputs(entry) -> list[str]`: the files and folders that reading depends on. Snakemake calls it
while it builds its graph, so it only does path arithmetic.

`check(entry)`, optional: raises InputError for mistakes that the inputs' headings show. Snakemake
calls it before it starts a job, so that no finished artifact is deleted for a job that must fail.

`read(entry) -> (frame, audit rows)`: one row per sample, in a stable order, with the columns
    sample_id, image_id   unique name of the sample; name of its image (samples may share one)
    path                  relative to the entry's root; "file.h5#17" for row 17 of an array
    group                 patient, video or source tile that must not cross splits; null if unknown
    split                 official split ("train", "val", "test"); null where there is none
    labels                list of raw labels
    caption               text of the sample, or null
    row                   the sample's row in its table, for messages; null without a table
Texts are as they look (`folding.tidy`), paths are spelled like their files. Groups may still be
written in several ways: cleaning unites them. Audit rows account for every table row and file that
is not a sample; those with the action "unread" count towards `max_quarantined`.
And in `frame.attrs`
    task                  "single" (one label each), "multi" or "survival"
    classes               the labels that the format fixes, or None; the one risk of survival
    class_names           {label: text for prompts}, as far as the format says
    time_unit             of survival, only if the table says it: "days"

The samples of a reader with BAGS = True are bags of patches, and no image is opened: image_id and
path are the bag's name, `slides` its feature files. Survival adds `time` and `event` and leaves
labels empty.
"""

import importlib
from pathlib import Path
from types import ModuleType

from histopair.errors import InputError
from histopair.files import labels_map


def find(name: str) -> ModuleType:
    """The reader of that name; InputError, which lists the readers, if there is none."""
    here = Path(__file__).parent
    folders = [path.parent.name for path in here.glob("*/__init__.py")]
    names = sorted([path.stem for path in here.glob("[!_]*.py")] + folders)
    if name not in names:
        raise InputError("config", f"there is no reader '{name}'", f"Use {', '.join(names)}")
    return importlib.import_module(f"{__name__}.{name}")


def declared(entry: dict) -> set[str]:
    """Labels that the config names; one called None is a label, not a missing value."""
    mapped = labels_map.read(entry.get("labels_map"))[0]
    return {*(entry.get("classes") or ()), *(entry.get("class_names") or ()), *mapped}
