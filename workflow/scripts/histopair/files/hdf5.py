"""HDF5 files opened for reading: why one cannot be, in one line."""

import os
from pathlib import Path

from histopair import errors
from histopair.errors import InputError

CAUSES = {
    "truncated file": "it is cut short: it has fewer bytes than its head says",
    "file signature not found": "it is no HDF5 file",
}


def opened(path: str | Path, absent: str, damaged: str):
    """The open h5py.File.

    `absent` and `damaged` are remedies. Raises InputError for a file that is absent, locked by a
    program that writes to it, not permitted, or not a whole HDF5 file.
    """
    import h5py

    try:
        with open(path, "rb"):  # HDF5 gives no reason that can be told from others
            pass
        return h5py.File(path, "r")
    except FileNotFoundError as error:
        raise InputError(path, "there is no such file", _packed(path) or absent) from error
    except OSError as error:
        if error.errno in errors.SYSTEM or "unable to lock file" in str(error):
            raise errors.of_system(path, error) from error
        said = next((why for text, why in CAUSES.items() if text in str(error)), None)
        raise InputError(path, said or f"HDF5 cannot read it ({error})", damaged) from error


def _packed(path: str | Path) -> str | None:
    packed = [f"{path}{end}" for end in (".gz", ".zip") if os.path.exists(f"{path}{end}")]
    return f"Unpack {packed[0]}" if packed else None
