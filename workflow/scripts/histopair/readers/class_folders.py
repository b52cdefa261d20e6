"""Single-label images sorted into one folder per class: <root>/<folder>/<class>/<image>."""

import os
from pathlib import Path

from histopair.errors import InputError
from histopair.readers import _groups

IMAGES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")


def inputs(entry: dict) -> list[str]:
    """The folders that hold the class folders, and the csv of groups."""
    return [_join(entry["root"], folder) for folder in _folders(entry)] + _groups.inputs(entry)


check = _groups.check


def read(entry: dict):
    """Read the tree; `folders` maps each folder to its official split (or null).

    Raises InputError for a missing folder, one without class folders, and an empty tree, and as
    `_groups.join` does.
    """
    frame, rows = read_folders(entry["root"], _folders(entry))
    return _groups.join(frame, entry), rows


def read_folders(root: str, folders: dict, classes=None, class_names: dict | None = None):
    """Samples of `folders` {folder under root: split or None}; see the package's docstring.

    Only images of known suffix are taken; everything else is audited. Paths are sorted, so the
    file system's order does not matter.
    """
    import pandas as pd

    from histopair import audit

    found, ignored, rows = [], [], []
    for folder, split in folders.items():
        for label, name in _files(root, folder):
            path = "/".join(part for part in (folder, label, name) if part not in ("", "."))
            is_image = name.lower().endswith(IMAGES)
            (found if is_image else ignored).append((path, split, label))
    if not found:
        raise InputError(
            ", ".join(_join(root, folder) for folder in folders),
            f"there is no image ({', '.join(IMAGES)}) in its class folders",
            "Expected is <folder>/<class>/<image>",
        )
    if ignored:
        names = [path for path, _, _ in ignored]
        rows.append(
            audit.row("read", "dropped", audit.listed(names, 3), "not an image", count=len(names))
        )
    frame = pd.DataFrame(found, columns=["path", "split", "label"])
    frame = frame.assign(
        sample_id=frame.path,
        image_id=frame.path,
        group=None,
        labels=[[label] for label in frame.pop("label")],
        caption=None,
        row=None,
    )
    frame.attrs = {"task": "single", "classes": classes, "class_names": class_names or {}}
    return frame, rows


def _files(root: str, folder: str):
    """(class, file name) of a folder's class folders, sorted."""
    place = Path(root, folder)
    if not place.is_dir():
        raise InputError(place, "there is no such folder", "Correct `root` or unpack the dataset")
    classes = sorted(item.name for item in os.scandir(place) if item.is_dir())
    for label in classes:
        names = (item.name for item in os.scandir(place / label) if item.is_file())
        for name in sorted(name for name in names if not name.startswith(".")):
            yield label, name


def _folders(entry: dict) -> dict:
    folders = entry.get("folders", ["."])
    return folders if isinstance(folders, dict) else dict.fromkeys(folders)


def _join(root: str, folder: str) -> str:
    return os.path.normpath(os.path.join(root, folder))
