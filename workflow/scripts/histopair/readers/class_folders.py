"""Single-label images sorted into one folder per class: <root>/<folder>/<class>/<image>."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from histopair import errors
from histopair.errors import InputError
from histopair.files import audit, paths
from histopair.readers import _groups
from histopair.readers.table import SPLITS

# Files that people and programs put beside images; a file with any other ending may be an image.
NOTES = (".txt", ".md", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".html", ".pdf", ".log")
NOTES += (".db", ".ini", ".xls", ".xlsx", ".doc", ".docx", ".rtf", ".py", ".geojson")
HIDDEN = "hidden, or the system's own"
NO_IMAGE = "not an image"
BESIDE = "beside the class folders, not in one"
DEEPER = "in a folder within a class folder"
ELSEWHERE = "in a folder that the dataset does not name"
COUNTED_ONLY = (HIDDEN, NO_IMAGE, ELSEWHERE)  # such files are no loss


def inputs(entry: dict) -> list[str]:
    """The folders that hold the class folders, and the csv of groups."""
    return [_join(entry["root"], folder) for folder in _folders(entry)] + _groups.inputs(entry)


check = _groups.check


def read(entry: dict):
    """Read the tree; `folders` maps each folder to its official split (or null).

    Raises InputError for a missing folder, one without class folders, a folder linked from outside
    the root, an unknown split and an empty tree, and as `_groups.join` does.
    """
    frame, rows = read_folders(entry["root"], _folders(entry))
    return _groups.join(frame, entry), rows


def read_folders(root: str, folders: dict, classes=None, class_names: dict | None = None):
    """Samples of `folders` {folder under root: split or None}; see the package's docstring.

    A sample is an image with a known suffix directly in a class folder. Every other file is audited
    with its reason. Paths are sorted, so the file system's order does not matter.
    """
    import pandas as pd

    samples, unread, rows = [], {}, []
    for folder, split in folders.items():
        for label, path, reason in _files(root, folder):
            if reason is None:
                samples.append((path, _split(split, root), [label]))
            else:
                unread.setdefault(reason, []).append(path)
        rows += _empty_classes(root, folder)
    for path in _beside(root, folders):
        unread.setdefault(ELSEWHERE, []).append(path)
    rows = _unread_rows(unread) + rows
    if not samples:
        lost = "".join(f"; {row['count']} files {row['reason']}" for row in rows if row["count"])
        raise InputError(
            ", ".join(_join(root, folder) for folder in folders),
            f"there is no image ({', '.join(paths.IMAGES)}) in its class folders{lost}",
            "Expected is <folder>/<class>/<image>",
        )
    frame = pd.DataFrame(samples, columns=["path", "split", "labels"])
    frame = frame.assign(sample_id=frame.path, image_id=frame.path)
    frame = frame.assign(group=None, caption=None, row=None)
    frame.attrs = {"task": "single", "classes": classes, "class_names": class_names or {}}
    return frame, rows


def _files(root: str, folder: str) -> Iterator[tuple[str | None, str, str | None]]:
    """(class, path below root, why it is not a sample) of all files of a folder, sorted."""
    place = Path(root, folder)
    if not paths.is_folder(place):
        raise InputError(place, "there is no such folder", "Correct `root` or unpack the dataset")
    for name, is_folder in _entries(place):
        path = _path(folder, name)
        if path == _groups.NAME:
            continue  # it is read as a table
        if not is_folder:
            yield None, path, _dangling(place / name) or _reason(name, BESIDE)
        elif paths.hidden(name):
            inside = paths.files_below(str(place / name), all_of_them=False)
            yield from ((None, f"{path}/{file}", HIDDEN) for file in inside)
        else:
            paths.require_inside(str(place / name), root)
            yield from _of_class(place / name, name, path, root)


def _of_class(
    place: Path, label: str, path: str, root: str
) -> Iterator[tuple[str | None, str, str | None]]:
    for name, is_folder in _entries(place):
        if is_folder:
            inside = paths.files_below(str(place / name), not paths.hidden(name), root)
            for file in (f"{name}/{file}" for file in inside):
                yield None, f"{path}/{file}", _reason(file, DEEPER)
        else:
            yield label, f"{path}/{name}", _flaw(place / name, f"{path}/{name}")


def _flaw(file: Path, path: str) -> str | None:
    """Why a file of a class folder, `path` below the root, is no sample; None for an image."""
    reason = _dangling(file) or _reason(file.name, None)
    if reason == NO_IMAGE and not file.suffix:
        return "it has no ending, unlike an image"
    if reason is None and paths.printable(path) != path:
        return "its name, or its folder's, is not UTF-8"
    return reason or (None if stat.S_ISREG(paths.leads_to(file) or 0) else NO_IMAGE)


def _dangling(file: Path) -> str | None:
    there = paths.hidden(file.name) or paths.leads_to(file) is not None
    return None if there else "a link that leads nowhere"


def _reason(name: str, otherwise: str | None) -> str | None:
    """`otherwise` for an image; else HIDDEN, NO_IMAGE, or words about its ending."""
    parts = name.split("/")
    if any(map(paths.hidden, parts)):
        return HIDDEN
    if paths.is_image(name):
        return otherwise
    ending = os.path.splitext(parts[-1])[1].lower()
    if ending in NOTES or not ending:
        return NO_IMAGE
    return f"its ending {paths.printable(ending)} is not that of an image"


def _entries(place: Path) -> list[tuple[str, bool]]:
    """Names in a folder, sorted, and whether each is a folder."""
    try:
        items = [item for item in os.scandir(place) if item.name not in paths.OURS]
        return sorted((item.name, item.is_dir()) for item in items)
    except OSError as error:
        raise errors.of_system(place, error) from error


def _empty_classes(root: str, folder: str) -> list[dict]:
    """The audit row of the folders that could be classes but are empty."""
    place = Path(root, folder)
    names = [name for name, is_folder in _entries(place) if is_folder and not paths.hidden(name)]
    empty = [_path(folder, name) for name in names if not any(os.scandir(place / name))]
    reason = "an empty folder, not a class"
    shown = audit.listed([*map(paths.printable, empty)], 3)
    return [audit.row("read", "warned", shown, reason, count=0)] if empty else []


def _beside(root: str, folders: dict) -> list[str]:
    """Images below the root that are in none of the folders."""
    named = tuple(f"{_join('.', folder)}/" for folder in folders)
    if "./" in named:
        return []
    files = paths.files_below(root, all_of_them=False)
    outside = [path for path in files if not path.startswith(named)]
    return [path for path in outside if _reason(path, ELSEWHERE) == ELSEWHERE]


def _unread_rows(unread: dict[str, list[str]]) -> list[dict]:
    """One audit row for each reason."""
    return [
        audit.row(
            "read",
            "dropped" if reason in COUNTED_ONLY else "unread",
            audit.listed([*map(paths.printable, names)], 3),
            reason,
            count=len(names),
        )
        for reason, names in sorted(unread.items())
    ]


def _split(name: str | None, root: str) -> str | None:
    if name is None or str(name).casefold() in SPLITS:
        return name and SPLITS[str(name).casefold()]
    problem = f"the split {name!r} of `folders` is unknown"
    raise InputError(root, problem, "Use train, val, test or null")


def _folders(entry: dict) -> dict:
    folders = entry.get("folders", ["."])
    return folders if isinstance(folders, dict) else dict.fromkeys(folders)


def _path(folder: str, name: str) -> str:
    return name if folder in ("", ".") else f"{folder}/{name}"


def _join(root: str, folder: str) -> str:
    return os.path.normpath(os.path.join(root, folder))
