"""The mark of an export's weights, which all its files carry.

A folder into which another export was copied may keep files of both, whose shapes fit.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from histopair.errors import InputError

KEY = "weights"  # of config.json, and of the metadata of the other files


def of(state: Mapping) -> str:
    """sha256 (64 hexadecimal digits) of tensors by name."""
    digest = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().cpu().contiguous().numpy()
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def check(file: Path, found: Mapping[str, str] | None, config: dict) -> None:
    """Raise InputError if a file's metadata have another mark than config.json.

    Folders from before there was a mark have none, and are not checked.
    """
    if KEY in config and (found or {}).get(KEY) != config[KEY]:
        problem = "it is not of the export that config.json is of"
        raise InputError(file, problem, "Copy the whole folder again, into an empty one")


def check_tensors(file: Path, config: dict) -> None:
    """`check` of a file of tensors. Raises SafetensorError or OSError if it cannot be read."""
    from safetensors import safe_open

    with safe_open(file, framework="numpy") as opened:
        check(file, opened.metadata(), config)
