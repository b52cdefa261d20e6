"""What the config's own files hold, as a param: what Snakemake's time stamps do not tell.

A file may be replaced by one with an older time stamp (mv, cp -p, rsync -a, tar), and what changes
below a folder's folders leaves the folder's own time stamp as it was.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from histopair.files import paths
from histopair.files.store import checksum, hashed
from histopair.plan import kept
from histopair.plan.places import made_here

LARGE = 100 * 2**20  # bytes: as max-checksum-file-size of profiles/default
ARRAYS = (".h5", ".hdf5")
SETTLED = 2  # seconds, in which a file may change again without another time stamp


def state(given: Iterable[str]) -> str | None:
    """Hash of the given files' bytes, and of images and features below the given folders.

    Images count by their names; features (.h5, .hdf5) and files above 100 MB also by size and time
    stamp. What the workflow makes itself does not count; None if that is all.
    """
    found = [(path, _state(path)) for path in given if not made_here(path)]
    return hashed(found) if found else None


def _state(path: str) -> object:
    if not os.path.isdir(path):
        return _content(path)
    files = _files_below(path)
    features = [[file, *_stamp(file)] for file in files if file.lower().endswith(ARRAYS)]
    return [file for file in files if paths.is_image(file)] + features


def _files_below(folder: str) -> list[str]:
    """The visible files below a folder, in a fixed order, without what the workflow makes."""
    found = []
    for place, folders, files in os.walk(folder):
        below = (os.path.join(place, name) for name in folders if not paths.hidden(name))
        folders[:] = sorted(os.path.basename(path) for path in below if not made_here(path))
        found += [f"{place}/{name}" for name in sorted(files) if not paths.hidden(name)]
    return found


def _content(path: str) -> object:
    """Hash of a file's bytes, kept for its time stamps; of a large file, size and time stamp."""
    info = os.stat(path)
    if info.st_size > LARGE:
        return _stamp(path)
    question = ["content", os.path.abspath(path), *_stamp(path), info.st_ctime_ns]
    if time.time() - info.st_ctime < SETTLED:
        return checksum(Path(path))
    return kept.here().answer(question, lambda: checksum(Path(path)))


def _stamp(path: str) -> list[int]:
    info = os.stat(path)
    return [info.st_size, info.st_mtime_ns]
