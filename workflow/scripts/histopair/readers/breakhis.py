"""BreakHis: 7,909 images of breast tumours of 82 patients, in eight types and four magnifications.

A file is called as its archive has it: SOB_B_TA-14-4659-40-001.png is benign (B), a tubular adenoma
(TA), of the slide 4659 of 2014, at a magnification of 40.
"""

import os
import re

from histopair.errors import InputError
from histopair.files import audit, paths
from histopair.readers import _groups

UNIT = "patient"
IMAGES = "BreaKHis_v1/histology_slides/breast"
CLASS_NAMES = {
    "A": "adenosis",
    "F": "fibroadenoma",
    "PT": "phyllodes tumor",
    "TA": "tubular adenoma",
    "DC": "ductal carcinoma",
    "LC": "lobular carcinoma",
    "MC": "mucinous carcinoma",
    "PC": "papillary carcinoma",
}
NAME = re.compile(r"SOB_[BM]_(A|F|PT|TA|DC|LC|MC|PC)-(\d+-[0-9A-Za-z]+)-(40|100|200|400)-\d+\.png")


def inputs(entry: dict) -> list[str]:
    """The folder of images, and the csv of groups."""
    return [os.path.join(entry["root"], IMAGES), *_groups.inputs(entry)]


check = _groups.check


def read(entry: dict):
    """Read all images, or those of one `magnification`; the slide's number stands for the patient.

    Raises InputError if there is none, for a folder linked from outside the root, and as
    `_groups.join` does.
    """
    import pandas as pd

    folder = os.path.join(entry["root"], IMAGES)
    wanted, samples, left = entry.get("magnification"), [], {}
    for file in paths.files_below(folder, root=entry["root"]):
        name = NAME.fullmatch(file.rpartition("/")[2])
        if name is None or paths.printable(file) != file:
            left.setdefault(_reason(file), []).append(file)
        elif wanted in (None, int(name[3])):
            samples.append((f"{IMAGES}/{file}", [name[1]], name[2]))
        else:
            left.setdefault("another magnification", []).append(file)
    if not samples:
        problem = f"there is no image such as SOB_B_TA-14-4659-{wanted or 40}-001.png"
        raise InputError(folder, problem, "Unpack BreakHis into `root`, or correct `magnification`")
    frame = pd.DataFrame(samples, columns=["path", "labels", "group"])
    frame = frame.assign(sample_id=frame.path, image_id=frame.path)
    frame = frame.assign(split=None, caption=None, row=None)
    frame.attrs = {"task": "single", "classes": list(CLASS_NAMES), "class_names": CLASS_NAMES}
    return _groups.join(frame, entry), _rows(left)


def _reason(file: str) -> str:
    visible = paths.is_image(file) and not any(map(paths.hidden, file.split("/")))
    return "its name is not that of an image of BreakHis" if visible else "not an image"


def _rows(left: dict[str, list[str]]) -> list[dict]:
    return [
        audit.row(
            "read",
            "unread" if reason.startswith("its name") else "dropped",
            audit.listed([*map(paths.printable, files)], 3),
            reason,
            count=len(files),
        )
        for reason, files in sorted(left.items())
    ]
