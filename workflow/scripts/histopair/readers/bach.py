"""BACH (ICIAR 2018): 400 breast microscopy images, 2048 x 1536, in four class folders."""

import os

from histopair.readers.class_folders import read_folders

PHOTOS = "ICIAR2018_BACH_Challenge/Photos"
CLASS_NAMES = {
    "Benign": "benign",
    "InSitu": "in situ carcinoma",
    "Invasive": "invasive carcinoma",
    "Normal": "normal",
}


def inputs(entry: dict) -> list[str]:
    """The folder of photos."""
    return [os.path.join(entry["root"], PHOTOS)]


def read(entry: dict):
    """Read the four class folders; the challenge's test labels are not public, so no split."""
    return read_folders(entry["root"], {PHOTOS: None}, list(CLASS_NAMES), CLASS_NAMES)
