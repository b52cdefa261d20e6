"""PatchCamelyon: 96 x 96 lymph node patches in HDF5 arrays with official splits."""

import os

from histopair.errors import InputError
from histopair.files import audit, hdf5, paths, sheets
from histopair.readers import _groups

SPLITS = {"train": "train", "valid": "val", "test": "test"}
CLASS_NAMES = {"normal": "normal", "tumor": "tumor"}
UNIT = "slide"
MADE_BY_RULES = "results/phantom"


def inputs(entry: dict) -> list[str]:
    """The six arrays, the tables of slides that exist or will be made, and the csv of groups.

    Raises InputError for Kaggle's form of the dataset.
    """
    _refuse_kaggle(entry["root"])
    arrays = [_file(entry, split, f"{part}.h5") for split in SPLITS for part in "xy"]
    slides = [_file(entry, split, "meta.csv") for split in SPLITS]
    by_rule = os.path.normpath(entry["root"]).replace(os.sep, "/").startswith(MADE_BY_RULES)
    slides = [path for path in slides if by_rule or os.path.exists(path)]
    return arrays + slides + _groups.inputs(entry)


check = _groups.check


def read(entry: dict):
    """Read labels and slides; pixels stay on disk. The group is the slide (`wsi`), if known.

    A csv of groups takes precedence over slides. Raises InputError for a missing, locked or damaged
    array, for arrays or tables of different length, and as `_groups.join` does. Other files below
    the root are audited.
    """
    import pandas as pd

    _refuse_kaggle(entry["root"])
    parts = [_read_split(entry, split) for split in SPLITS]
    frame = pd.concat([frame for frame, _ in parts], ignore_index=True)
    frame.attrs = {"task": "single", "classes": list(CLASS_NAMES), "class_names": CLASS_NAMES}
    rows = [row for _, rows in parts for row in rows] + _others(entry)
    return _groups.join(frame, entry), rows


def _refuse_kaggle(root: str) -> None:
    """Raise InputError for Kaggle's form of the dataset, which has files instead of arrays."""
    if os.path.exists(os.path.join(root, "train_labels.csv")):
        raise InputError(
            root,
            "it holds train_labels.csv, like Kaggle's form of PatchCamelyon, and no arrays",
            "Give it `reader: table`, `root: .../train`, `table: ../train_labels.csv` and "
            "`columns: {path: id}`",
        )


def _others(entry: dict) -> list[dict]:
    """The audit row of files that do not belong to the dataset."""
    read = {_file(entry, split, end) for split in SPLITS for end in ("x.h5", "y.h5", "meta.csv")}
    read |= {*_groups.inputs(entry)}
    read = {os.path.relpath(path, entry["root"]).replace(os.sep, "/") for path in read}
    files = paths.files_below(entry["root"], all_of_them=False)
    left = [paths.printable(path) for path in files if path not in read]
    if not left:
        return []
    reason = "not one of the files that are read"
    return [audit.row("read", "dropped", audit.listed(left, 3), reason, count=len(left))]


def _read_split(entry: dict, split: str):
    import numpy as np
    import pandas as pd

    pixels, labels = (_file(entry, split, f"{part}.h5") for part in "xy")
    count = len(_array(pixels, "x"))
    target = _values(labels, "y")
    _same_length(labels, len(target), count)
    bad = np.flatnonzero(~np.isin(target, (0, 1)))
    if len(bad):
        problem = f"label {target[bad[0]]} is neither 0 nor 1"
        raise InputError(labels, problem, "Restore the file", int(bad[0]))
    path = os.path.basename(pixels) + "#" + pd.Series(np.arange(count)).astype(str)
    names = np.array(list(CLASS_NAMES), dtype=object)[target.astype(int)]
    slides, rows = _slides(entry, split, count)
    frame = pd.DataFrame(
        {
            "sample_id": path,
            "image_id": path,
            "path": path,
            "group": slides,
            "split": SPLITS[split],
            "labels": [[name] for name in names],
            "caption": None,
            "row": np.arange(count),
        }
    )
    return frame, rows


def _slides(entry: dict, split: str, count: int):
    """The slide of each patch, or None; and the audit rows of their table."""
    path = _file(entry, split, "meta.csv")
    if not os.path.exists(path):
        return None, []
    table = sheets.read(path, ["wsi"])
    _same_length(path, len(table), count)
    slides = table.wsi.astype(object)
    return slides.where(slides.notna(), None).to_numpy(), table.attrs["audit"]


def _array(path: str, key: str):
    import h5py

    file = hdf5.opened(path, "Unpack PCAM into `root`", "Download it again")
    array = file.get(key)
    if not isinstance(array, h5py.Dataset) or array.ndim == 0:
        problem = f"it has no array '{key}'; it holds {sorted(file) or 'nothing'}"
        raise InputError(path, problem, "Download it again")
    if hdf5.elsewhere(file, array):
        raise InputError(path, f"its array '{key}' lies in another file", "Copy it into this one")
    return array


def _values(path: str, key: str):
    array = _array(path, key)
    if array.dtype.kind not in "biuf":
        problem = f"its array '{key}' holds {array.dtype}, not numbers"
        raise InputError(path, problem, "Download it again")
    try:
        return array[...].reshape(-1)
    except OSError as error:  # of a chunk
        raise InputError(path, f"its array '{key}' is damaged", "Download it again") from error


def _same_length(path: str, rows: int, patches: int) -> None:
    if rows != patches:
        raise InputError(path, f"it has {rows} rows for {patches} patches", "Restore the file")


def _file(entry: dict, split: str, end: str) -> str:
    return os.path.join(entry["root"], f"camelyonpatch_level_2_split_{split}_{end}")
