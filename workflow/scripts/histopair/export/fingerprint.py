"""The fingerprint of an exported model: equal for folders that give equal findings."""

import hashlib
from pathlib import Path

from histopair import errors

FILES = ("config.json", "labels.json", "model.safetensors")


def of_export(folder: Path) -> str:
    """sha256 (64 hexadecimal digits) of the files that decide what the folder predicts.

    Raises InputError if a file is not there.
    """
    digest = hashlib.sha256()
    for name in FILES:
        try:
            with open(folder / name, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise errors.of_system(folder / name, error) from error
    return digest.hexdigest()
