"""The mark of an export's weights (devices.weights_digest), which all its files carry.

A folder into which another export was copied may keep files of both, whose shapes fit.
"""

from collections.abc import Mapping
from pathlib import Path

from histopair.errors import InputError

KEY = "weights"  # of config.json, and of the metadata of the other files


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
