"""Open HDF5 files for reading, or say in one line why one cannot be opened."""

import os
from pathlib import Path

from histopair import errors
from histopair.errors import InputError

CAUSES = {
    "truncated file": "it is cut short: it has fewer bytes than its head says",
    "file signature not found": "it is not an HDF5 file",
}


def opened(path: str | Path, absent: str, damaged: str):
    """The open h5py.File; `absent` and `damaged` are the remedies for such files.

    Raises InputError for a file that is absent, locked by a program that writes to it, not
    permitted, or not a whole HDF5 file.
    """
    import h5py

    try:
        with open(path, "rb"):  # HDF5's own errors do not tell a missing file from a damaged one
            pass
        return h5py.File(path, "r")
    except FileNotFoundError as error:
        raise InputError(path, "there is no such file", _packed(path) or absent) from error
    except OSError as error:
        if error.errno in errors.SYSTEM or "unable to lock file" in str(error):
            raise errors.of_system(path, error) from error
        cause = next((cause for text, cause in CAUSES.items() if text in str(error)), None)
        raise InputError(path, cause or f"HDF5 cannot read it ({error})", damaged) from error


def elsewhere(file, array) -> bool:
    """Whether the values of an array of an open file lie in other files, whose edits nobody sees.

    It may be linked, virtual or stored outside; such files may lie beyond the dataset's root.
    """
    return array.file.filename != file.filename or array.is_virtual or array.external is not None


def _packed(path: str | Path) -> str | None:
    packed = [f"{path}{end}" for end in (".gz", ".zip") if os.path.exists(f"{path}{end}")]
    return f"Unpack {packed[0]}" if packed else None
