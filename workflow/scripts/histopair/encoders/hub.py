"""Files on a model hub: an address, a revision, and where the file lies here."""

import hashlib
import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from histopair.encoders.weights import Refusal

HUB, WEB = "hf-hub:", "https://"
COMMIT = re.compile(r"[0-9a-f]{40}")
# What describes a model and its words, without weights and code.
DESCRIBING = ["*.json", "*.txt", "*.model"]


def is_remote(address: str) -> bool:
    return address.startswith((HUB, WEB))


def file(address: str, revision: str | None = None) -> Path:
    """The file of `hf-hub:OWNER/NAME/FILE` or `https://...`, downloaded once.

    Raises Refusal for an address of a hub that names no file.
    """
    if address.startswith(WEB):
        from timm.models._hub import download_cached_file

        # By the name alone, one checkpoint.pth would stand for all of them.
        place = hashlib.sha256(address.encode()).hexdigest()[:16]
        name = f"{place}-{PurePosixPath(urlsplit(address).path).name}"
        return Path(download_cached_file((address, name), check_hash=False))
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(*parts(address), revision=revision))


def parts(address: str) -> tuple[str, str]:
    """Repository and file of `hf-hub:OWNER/NAME/FILE`. Raises Refusal if it names no file."""
    owner, _, rest = address.removeprefix(HUB).partition("/")
    name, _, path = rest.partition("/")
    if not path:
        raise Refusal(f"{address!r} names no file", "Write hf-hub:OWNER/NAME/FILE")
    return f"{owner}/{name}", path


def descriptions(name: str, revision: str | None = None) -> Path:
    """A folder with the config and the tokenizer of a model: a local one, or of the hub.

    Raises FileNotFoundError for a `local-dir:` that does not exist.
    """
    folder = Path(name.removeprefix("local-dir:"))
    if folder.is_dir():
        return folder
    if name.startswith("local-dir:"):
        raise FileNotFoundError(f"the folder {folder} does not exist")
    from huggingface_hub import snapshot_download

    name = name.removeprefix(HUB)
    return Path(snapshot_download(name, revision=revision, allow_patterns=DESCRIBING))


def check_revision(entry: dict, on_hub: bool) -> None:
    """Raise Refusal for a `revision` of what is not on the hub: it would pin nothing."""
    if entry.get("revision") and not on_hub:
        problem = f"`revision` {entry['revision']!r} pins nothing: the files are not on a hub"
        raise Refusal(problem, "Leave it out")
