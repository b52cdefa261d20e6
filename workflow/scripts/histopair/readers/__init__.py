"""Readers of dataset formats: a file each, or a folder, found by the config's `reader:`.

A reader of labelled images has two functions, or three.

`inputs(entry) -> list[str]`: the files and folders that reading depends on. Snakemake calls it
while it builds its graph, so it does path arithmetic only.

`check(entry)`, if there is one: raises InputError for what the inputs' headings show to be wrong.
Snakemake calls it before it starts a job, so that no finished artifact is deleted for a job that
must fail.

`read(entry) -> (frame, audit rows)`: one row per sample, in a stable order, with the columns
    sample_id, image_id   unique name of the sample; name of its image (samples may share one)
    path                  relative to the entry's root; "file.h5#17" for row 17 of an array
    group                 patient, video or source tile that must not cross splits; null if unknown
    split                 official split ("train", "val", "test"); null where there is none
    labels                list of raw labels
    caption               text of the sample, or null
    row                   where the sample stands in its table, for messages; null without a table
Texts are as they look (`folding.tidy`), paths as their files are called. Groups may still be
written in several ways: cleaning unites them. Audit rows account for every row of a table and every
file that is no sample; those of the action "unread" count towards `max_quarantined`.
And in `frame.attrs`
    task                  "single" (one label each), "multi" or "survival"
    classes               the labels that the format fixes, or None; the one risk of survival
    class_names           {label: text for prompts}, as far as the format says

A reader with BAGS = True has bags of patches for samples, and no image is opened: image_id and path
are the bag's name, `slides` the feature files that it is made of. For survival there are `time` and
`event`, and labels are empty.
"""

import importlib
from pathlib import Path
from types import ModuleType

from histopair.errors import InputError


def find(name: str) -> ModuleType:
    """The reader of that name; InputError, with the names there are, if there is none."""
    here = Path(__file__).parent
    folders = [path.parent.name for path in here.glob("*/__init__.py")]
    found = sorted([path.stem for path in here.glob("[!_]*.py")] + folders)
    if name not in found:
        raise InputError("config", f"there is no reader '{name}'", f"Use {', '.join(found)}")
    return importlib.import_module(f"{__name__}.{name}")


def declared(entry: dict) -> set[str]:
    """Labels that the config names: if one is called None, that is no missing value."""
    from histopair.files import labels_map

    mapped = labels_map.read(entry.get("labels_map"))[0]
    return {*(entry.get("classes") or ()), *(entry.get("class_names") or ()), *mapped}
