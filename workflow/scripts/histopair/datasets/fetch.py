"""Fetch a file: go on where a try has stopped, and keep only what its source states.

huggingface_hub's `http_get` speaks HTTP: it resumes after a drop, and starts again where a server
ignores the range. Here is what it does not know: checksums, limits, pages in place of files.
"""

import hashlib
import os
import time
from pathlib import Path
from typing import IO

os.environ.setdefault("TQDM_MININTERVAL", "10")  # before tqdm loads; a log keeps every line

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, HTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, get_session

from histopair import errors
from histopair.datasets.sources import CHECKSUMS, verified
from histopair.errors import InputError

constants.DOWNLOAD_CHUNK_SIZE = 1 << 14  # bytes that a drop loses at most; they were ten million
PLAIN = {"Accept-Encoding": "identity"}  # the bytes as they are
BLOCK = 1 << 20
TRIES = 5  # in a row without a new byte
WAIT = 1.0  # seconds
GONE = {401, 403, 404, 410}
RANGE_NOT_SATISFIABLE = 416


def file(entry: dict, part: Path, page: str) -> dict:
    """Fetch a file of a source to `part`; gives its size in bytes and its sha256.

    A part of an earlier try is continued. Raises InputError, and leaves no part, for a file that is
    not the one that its source states: of another size or checksum, too large, or a web page. A
    part stays where the connection ends.
    """
    started = _continued(entry, part)
    _stream(entry, part, page)
    facts, mistake = _judged(entry, part)
    if mistake and started:  # what was there may be of another version
        part.unlink()
        _stream(entry, part, page)
        facts, mistake = _judged(entry, part)
    if mistake:
        part.unlink()
        remedy = f"Nothing of it is kept. Try again later; if it stays so, see {page}"
        raise InputError(entry["address"], mistake, remedy)
    return facts


def _continued(entry: dict, part: Path) -> bool:
    """Whether a part of an earlier try is there; one that may be of another version is removed.

    A checksum tells in the end. Without one, the server's mark of the version must be the same.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    mark, note = _version(entry), part.with_name(f"{part.name}.version")
    same = note.exists() and mark and note.read_text(encoding="utf-8") == mark
    note.write_text(mark, encoding="utf-8")
    if part.exists() and not same and not verified(entry):
        part.unlink()
    return part.exists()


def _version(entry: dict) -> str:
    """What the server calls this version of the file; "" where it does not say."""
    try:
        response = get_session().head(
            entry["address"], headers=_headers(entry), follow_redirects=True, timeout=10
        )
    except (HTTPError, OSError):
        return ""
    return response.headers.get("etag") or response.headers.get("last-modified") or ""


def _headers(entry: dict) -> dict[str, str]:
    return PLAIN | (build_hf_headers() if entry.get("gate") == "huggingface" else {})


def _stream(entry: dict, part: Path, page: str) -> None:
    """Fetch what is missing of a file; ends when the server says that it is whole."""
    tries = TRIES
    while True:
        before = part.stat().st_size if part.exists() else 0
        if before == entry.get("size"):
            return
        try:
            with open(part, "ab") as file:
                to = _Limited(file, entry)
                http_get(entry["address"], to, resume_size=before, headers=_headers(entry))
            return
        except (HTTPError, OSError, RecursionError) as error:  # http_get calls itself after a drop
            _give_up_on(error, entry, page)
            gained = part.stat().st_size > before
            tries = TRIES if gained else tries - 1
            if isinstance(error, HfHubHTTPError) and _status(error) == RANGE_NOT_SATISFIABLE:
                part.unlink()
            if not tries:
                problem = f"the connection failed {TRIES} times ({_reason(error)})"
                remedy = "Run the same command again: it goes on where it stopped"
                raise InputError(entry["address"], problem, remedy) from error
            time.sleep(WAIT)


class _Limited:
    """A file to append to, which refuses more bytes than its source may have."""

    def __init__(self, file: IO[bytes], entry: dict):
        self.file, self.address = file, entry["address"]
        self.most = entry.get("size", entry.get("most"))
        self.seek, self.tell, self.truncate = file.seek, file.tell, file.truncate

    def write(self, block: bytes) -> int:
        if self.file.tell() + len(block) > self.most:
            os.unlink(self.file.name)
            problem = f"it is larger than the {self.most:,} bytes that it may have"
            raise InputError(self.address, problem, "It is not the file that was asked for")
        return self.file.write(block)


def _give_up_on(error: Exception, entry: dict, page: str) -> None:
    """Raise InputError for an answer that no other try will change."""
    if isinstance(error, OSError) and error.errno in errors.FULL:
        raise errors.of_system(entry["makes"], error) from error
    if not isinstance(error, HfHubHTTPError) or _status(error) not in GONE:
        return
    problem = f"the server refuses it (status {_status(error)})"
    remedy = f"See whether it has moved: {page}"
    if entry.get("gate") == "huggingface" and _status(error) in (401, 403):
        remedy = f"Ask for access at {page}, and log in: hf auth login, or set HF_TOKEN"
    raise InputError(entry["address"], problem, remedy) from error


def _status(error: HfHubHTTPError) -> int:
    return error.response.status_code


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__


def _judged(entry: dict, part: Path) -> tuple[dict, str | None]:
    """Size and sha256 of a file, and why it is not the one that its source states, or None."""
    size = part.stat().st_size
    sums = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
    sums["git"] = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with open(part, "rb") as file:
        block = start = file.read(BLOCK)
        while block:
            for value in sums.values():
                value.update(block)
            block = file.read(BLOCK)
    return {"size": size, "sha256": sums["sha256"].hexdigest()}, _mistake(entry, size, start, sums)


def _mistake(entry: dict, size: int, start: bytes, sums: dict) -> str | None:
    if start.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return "the server sent a web page instead of the file"
    if size != entry.get("size", size):
        return f"it has {size:,} bytes, its source states {entry['size']:,}"
    for kind in CHECKSUMS:
        if entry.get(kind, value := sums[kind].hexdigest()) != value:
            return f"its {kind} is {value}, its source states {entry[kind]}"
    return None
