"""Paths written in tables: one spelling each, inside their root, as their files are called."""

import errno
import os
import posixpath
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from histopair import errors
from histopair.errors import InputError
from histopair.files import audit, folding

if TYPE_CHECKING:
    import pandas as pd

IMAGES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
SYSTEM = ("__macosx", "thumbs.db", "desktop.ini", "@eadir", "lost+found", "$recycle.bin")
STAMP = ".snakemake_timestamp"  # Snakemake puts it into folders that a rule makes
RECEIPT, UNFINISHED = "receipt.json", ".downloads"  # of what `datasets/downloads.py` fetched
OURS = (STAMP, RECEIPT, UNFINISHED)


def relative(
    written: "pd.Series", table: str, rows: "pd.Series", below: str = "", root: str | None = None
) -> "pd.Series":
    """One spelling per path: "a\\\\b.png", "./a/b.png" and "a//b.png" are "<below>/a/b.png".

    Absolute paths are accepted below `root`, if it is given. Raises InputError, with the row, for
    a path that leads outside.
    """
    spelled = written.str.strip().str.replace("\\", "/", regex=False)
    if root is not None:
        for prefix in {os.path.abspath(root), os.path.realpath(root)}:
            spelled = spelled.str.removeprefix(prefix + "/")
    absolute = spelled.str.match(r"/|[A-Za-z]:/")
    normal = spelled.map({path: posixpath.normpath(path) for path in spelled.unique()})
    outside = absolute | (normal == "..") | normal.str.startswith("../") | (normal == ".")
    outside |= normal.str.contains("\0", regex=False)
    if outside.any():
        first = outside.idxmax()
        problem = f"the path {written[first]!r} lies outside the dataset's folder"
        raise InputError(table, problem, "Write it relative to that folder", rows[first])
    return below + "/" + normal if below else normal


def on_disk(written: "pd.Series", root: str, table: str) -> "tuple[pd.Series, list[dict]]":
    """Paths spelled like their files, and the audit row of those that were written differently.

    A path that does not exist means the one file whose name differs only in case, Unicode form,
    invisible characters or dashes, or only adds an image's ending. Other paths stay as they are.
    """
    folders: dict[str, _Folder | None] = {"": _Folder.of(root, "")}
    actual = {path: _actual(path, root, folders) for path in written.unique()}
    changed = {old: new for old, new in actual.items() if old != new}
    if not changed:
        return written, []
    count = written.isin(changed).sum()
    shown = [audit.listed([*map(repr, names)], 3) for names in (changed, changed.values())]
    reason = "the path is not written like its file's name"
    return written.map(actual), [audit.row("read", "renamed", table, reason, *shown, count)]


def leads_to(path: str | os.PathLike) -> int | None:
    """The mode (`stat`) of a file or folder, links followed; None if there is none.

    Raises InputError if the system denies access.
    """
    try:
        return os.stat(path).st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise errors.of_system(path, error) from error


def is_folder(path: str | os.PathLike) -> bool:
    """Whether there is a folder; InputError if the system denies access."""
    return stat.S_ISDIR(leads_to(path) or 0)


def hidden(name: str) -> bool:
    """Whether a file or folder is hidden or belongs to the system."""
    return name.startswith((".", "~$")) or name.casefold() in SYSTEM


def is_image(name: str) -> bool:
    """Whether a file's name ends like an image's."""
    return name.lower().endswith(IMAGES)


def files_below(folder: str, all_of_them: bool = True, root: str | None = None) -> list[str]:
    """Files below a folder, relative to it and sorted.

    What this workflow itself puts beside data does not count. With `all_of_them`, links to folders
    are followed, and raises InputError for one that leads out of the root (else the folder), and
    for a folder that may not be read; without, skips both.
    """
    if all_of_them and root is not None:
        require_inside(folder, root)
    below, refuse = [], _refuse if all_of_them else None
    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=all_of_them):
        here = os.path.relpath(place, folder).replace(os.sep, "/") + "/"
        here = here.removeprefix("./")
        folders[:] = [name for name in folders if name not in OURS]
        if all_of_them:
            folders[:] = [name for name in folders if _is_walked(folder, here + name, root)]
        below += [here + name for name in files if name not in OURS]
    return sorted(below)


def require_inside(folder: str, root: str) -> None:
    """Raise InputError if a folder is, through a link, not inside the root."""
    real, inside = os.path.realpath(folder), os.path.realpath(root)
    if os.path.commonpath([real, inside]) != inside:
        problem = f"it leads outside {root}, to {real}"
        remedy = "Put the folder itself there, or name a folder that contains both"
        raise InputError(printable(folder), printable(problem), remedy)


def unnamed(root: str, named: "pd.Series", folder: str = ".") -> list[dict]:
    """The audit row of the images in a folder below the root that no row of its table names."""
    files = files_below(os.path.join(root, folder), all_of_them=False)
    images = (posixpath.normpath(f"{folder}/{file}") for file in files if is_image(file))
    visible = [path for path in images if not any(map(hidden, path.split("/")))]
    left = sorted(set(visible) - set(named))
    if not left:
        return []
    shown = audit.listed([*map(printable, left)], 3)
    reason = "no row of the table names these images"
    return [audit.row("read", "warned", shown, reason, count=len(left))]


def printable(name: str) -> str:
    """A file's name as text, even if it is not UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


class _Folder:
    """The names in one folder, and which of them are alike."""

    def __init__(self, names: list[str]):
        self.names = set(names)
        self._alike: dict[str, list[str]] | None = None

    @classmethod
    def of(cls, root: str, path: str) -> "_Folder | None":
        try:
            return cls(os.listdir(os.path.join(root, path)))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise errors.of_system(os.path.join(root, path), error) from error

    def name(self, written: str) -> str | None:
        """The name that a written one means; None if there is none, or several."""
        if written in self.names:
            return written
        if self._alike is None:
            self._alike = {}
            for name in sorted(self.names):
                self._alike.setdefault(folding.plain(name), []).append(name)
                if is_image(name):
                    stem = folding.plain(name.rpartition(".")[0])
                    self._alike.setdefault(f"{stem}\0", []).append(name)
        wanted = folding.plain(written)
        for alike in (self._alike.get(wanted, []), self._alike.get(f"{wanted}\0", [])):
            if alike:
                return alike[0] if len(alike) == 1 else None
        return None


def _actual(path: str, root: str, folders: dict[str, "_Folder | None"]) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        place = "/".join(parts)
        if place not in folders:
            folders[place] = _Folder.of(root, place)
        name = folders[place].name(part) if folders[place] else None
        if name is None:
            return path
        parts.append(name)
    return "/".join(parts)


def _is_walked(folder: str, below: str, root: str | None) -> bool:
    """Whether to look for files in a folder below another: any but some links."""
    path = os.path.join(folder, below)
    if not os.path.islink(path):
        return True
    if any(map(hidden, below.split("/"))):
        return False
    require_inside(path, root or folder)
    # The files of a folder that holds the link are listed anyway, and the walk would never end.
    return os.path.realpath(path) not in map(os.path.realpath, Path(path).absolute().parents)


def _refuse(error: OSError):
    raise errors.of_system(error.filename, error) from error
