"""PatchCamelyon: 96 x 96 lymph node patches in HDF5 arrays with official splits."""

import os

from histopair.errors import InputError
from histopair.readers import _groups

SPLITS = {"train": "train", "valid": "val", "test": "test"}
CLASS_NAMES = {"normal": "normal", "tumor": "tumor"}
UNIT = "slide"
MADE_BY_RULES = "results/phantom"


def inputs(entry: dict) -> list[str]:
    """The six arrays, the tables of slides where they are there or will be made, and of groups."""
    arrays = [_file(entry, split, f"{part}.h5") for split in SPLITS for part in "xy"]
    slides = [_file(entry, split, "meta.csv") for split in SPLITS]
    made = os.path.normpath(entry["root"]).replace(os.sep, "/").startswith(MADE_BY_RULES)
    slides = [path for path in slides if made or os.path.exists(path)]
    return arrays + slides + _groups.inputs(entry)


check = _groups.check


def read(entry: dict):
    """Read labels and slides; pixels stay on disk. The group is the slide (`wsi`), if known.

    A csv of groups goes before the slides. Raises InputError for a missing or damaged array, where
    arrays or tables differ in length, and as `_groups.join` does.
    """
    import pandas as pd

    frames = [_read_split(entry, split) for split in SPLITS]
    frame = pd.concat(frames, ignore_index=True)
    frame.attrs = {"task": "single", "classes": list(CLASS_NAMES), "class_names": CLASS_NAMES}
    return _groups.join(frame, entry), []


def _read_split(entry: dict, split: str):
    import numpy as np
    import pandas as pd

    name = os.path.basename(_file(entry, split, "x.h5"))
    count = len(_array(_file(entry, split, "x.h5"), "x"))
    target = _array(_file(entry, split, "y.h5"), "y")[...].reshape(-1)
    _same_length(_file(entry, split, "y.h5"), len(target), count)
    bad = np.flatnonzero(~np.isin(target, (0, 1)))
    if len(bad):
        raise InputError(
            _file(entry, split, "y.h5"),
            f"label {target[bad[0]]} is neither 0 nor 1",
            "Restore the file",
            int(bad[0]),
        )
    path = name + "#" + pd.Series(np.arange(count)).astype(str)
    labels = np.array(list(CLASS_NAMES), dtype=object)[target.astype(int)]
    return pd.DataFrame(
        {
            "sample_id": path,
            "image_id": path,
            "path": path,
            "group": _slides(entry, split, count),
            "split": SPLITS[split],
            "labels": [[label] for label in labels],
            "caption": None,
            "row": np.arange(count),
        }
    )


def _slides(entry: dict, split: str, count: int):
    from histopair import sheets

    path = _file(entry, split, "meta.csv")
    if not os.path.exists(path):
        return None
    slides = sheets.read(path, ["wsi"]).wsi
    _same_length(path, len(slides), count)
    return slides.to_numpy()


def _array(path: str, key: str):
    import h5py

    try:
        return h5py.File(path, "r")[key]
    except FileNotFoundError as error:
        raise InputError(path, "there is no such file", "Unpack PCAM into `root`") from error
    except (OSError, KeyError) as error:
        problem = f"it is no HDF5 file with an array '{key}'"
        raise InputError(path, problem, "Download it again") from error


def _same_length(path: str, found: int, expected: int) -> None:
    if found != expected:
        raise InputError(path, f"it has {found} rows for {expected} patches", "Restore the file")


def _file(entry: dict, split: str, end: str) -> str:
    return os.path.join(entry["root"], f"camelyonpatch_level_2_split_{split}_{end}")
