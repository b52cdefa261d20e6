"""NCT-CRC-HE: 100,000 colorectal tiles for training and 7,180 of other patients for testing."""

import os

from histopair.readers import _groups
from histopair.readers.class_folders import read_folders

UNIT = "patient"
SPLITS = {"NCT-CRC-HE-100K": "train", "CRC-VAL-HE-7K": "test"}
CLASS_NAMES = {
    "ADI": "Adipose tissue",
    "BACK": "Background",
    "DEB": "Debris (necrosis, mucus, hemorrhage)",
    "LYM": "Lymphocytes",
    "MUC": "Mucus",
    "MUS": "Smooth muscle",
    "NORM": "Normal colon mucosa",
    "STR": "Cancer-associated stroma",
    "TUM": "Colorectal adenocarcinoma epithelium",
}


def inputs(entry: dict) -> list[str]:
    """The two folders of class folders, and the csv of groups."""
    folders = [os.path.join(entry["root"], folder) for folder in SPLITS]
    return folders + _groups.inputs(entry, of_phantom=True)


check = _groups.check


def read(entry: dict):
    """Read both folders; CRC-VAL-HE-7K is the official test split.

    Tiles name no patient; `_groups.join` adds the patients and raises what it documents.
    """
    frame, rows = read_folders(entry["root"], SPLITS, list(CLASS_NAMES), CLASS_NAMES)
    return _groups.join(frame, entry), rows
