"""A folder for uploads while they are decoded, which nobody else can read and nothing outlives."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "histopair-serve-"


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder, for its owner alone; removed at the end, with those of killed servers."""
    _remove_left(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        held = os.open(name, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)  # the kernel frees it, even after kill -9
        try:
            yield Path(name)
        finally:
            os.close(held)


def _remove_left(parent: Path) -> None:
    """Remove folders of this user that no server holds."""
    for path in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if path.is_symlink() or path.stat().st_uid != os.getuid():
                continue
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(held)
