"""Patients with follow-up, and the patch features of their slides: each patient is a bag.

clinical      time and event of each patient, from a csv
slides        which slides belong to which patient
"""

from histopair.files import sheets

UNIT = "patient"
BAGS = True  # a sample is a bag of patches, not an image


def inputs(entry: dict) -> list[str]:
    """The csv, and the folder of features of each encoder."""
    return [entry["clinical"], *entry["features"].values()]


def check(entry: dict) -> None:
    """Raise InputError if the csv lacks a column."""
    columns = entry.get("columns")
    sheets.require(entry["clinical"], ["patient", "time", "event"], ["slide"], columns)


def read(entry: dict):
    """One row per patient with follow-up and slides, sorted; each is a group of its own.

    Beside the columns of every reader: time, event, slides (file names in the folders of features)
    and patches (how many). Patients without follow-up or without a slide, and slides without a
    patient, are dropped and audited. Slides and patches are those of the first folder of features;
    where another has other numbers of patches, the audit says so. Raises InputError for what
    `clinical` and, in any folder, `images.features` refuse, for slides of different widths in one
    folder, and for a slide that the csv names or the first folder has and a folder lacks.
    """
    from histopair.readers.cohort import clinical, slides

    csv, folders = entry["clinical"], [*entry["features"].values()]
    frame, audit = slides.of_patients(clinical.read(csv, entry.get("columns")), csv, folders)
    if frame.empty:
        return frame, audit
    name = frame.pop("patient")
    frame = frame.assign(sample_id=name, image_id=name, path=name, group=name, split=None)
    frame = frame.assign(sha256=None, phash=None, caption=None, row=None)
    frame["labels"] = [[] for _ in name]
    frame.attrs = {"task": "survival", "classes": ["risk"], "class_names": {"risk": "risk"}}
    if unit := clinical.unit(entry.get("columns")):
        frame.attrs["time_unit"] = unit
    return frame, audit
