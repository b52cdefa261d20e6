"""BACH (ICIAR 2018): 400 breast microscopy images, 2048 x 1536, in four class folders."""

import os

from histopair.errors import InputError
from histopair.readers import _groups
from histopair.readers.class_folders import read_folders

UNIT = "patient"
PHOTOS = "ICIAR2018_BACH_Challenge/Photos"
CLASS_NAMES = {
    "Benign": "benign",
    "InSitu": "in situ carcinoma",
    "Invasive": "invasive carcinoma",
    "Normal": "normal",
}
# What eva (kaiko-ai/eva) calls validation: half-open ranges of the 400 photos, sorted by path. No
# patient is on both sides; eva does not say who the patients are.
EVA_TEST = [(41, 59), (60, 90), (139, 169), (240, 258), (260, 273), (345, 368)]
PER_CLASS = 100


def inputs(entry: dict) -> list[str]:
    """The folder of photos, and the csv of groups."""
    return [os.path.join(entry["root"], PHOTOS), *_groups.inputs(entry, of_phantom=True)]


check = _groups.check


def read(entry: dict):
    """Read the four class folders; the test labels are not public, so there is no split.

    With `official: eva` the split is eva's, whose validation is our test. Raises InputError for
    that split if the photos are not BACH's 400, and as `_groups.join` does.
    """
    frame, rows = read_folders(entry["root"], {PHOTOS: None}, list(CLASS_NAMES), CLASS_NAMES)
    if entry.get("official") == "eva":
        frame["split"] = _eva(frame, os.path.join(entry["root"], PHOTOS))
    return _groups.join(frame, entry), rows


def _eva(frame, photos: str) -> list[str]:
    counts = frame.labels.str[0].value_counts()
    if dict(counts) != dict.fromkeys(CLASS_NAMES, PER_CLASS):
        there = ", ".join(f"{name} {counts.get(name, 0)}" for name in sorted(CLASS_NAMES))
        problem = f"`official: eva` splits {PER_CLASS} photos per class; there are {there}"
        raise InputError(photos, problem, "Restore BACH's 400 photos, or leave `official` out")
    test = {number for start, end in EVA_TEST for number in range(start, end)}
    return ["test" if number in test else "train" for number in range(len(frame))]
