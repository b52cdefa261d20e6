"""A public source on disk: each of its files fetched, verified, unpacked, and moved into place.

What is not finished lies in the hidden folder `.downloads` of the source, with a record of each
file that is. A receipt beside the data says where they come from.
"""

import os
import shutil
import time
from pathlib import Path, PurePosixPath

from histopair import errors
from histopair.datasets import fetch, sources, unpack
from histopair.errors import InputError
from histopair.files import paths, tables


def download(name: str, source: dict, receipt: Path) -> None:
    """Fetch the files of a source into the receipt's folder, and write the receipt.

    A file that an earlier try has finished is kept. Raises InputError as `fetch.file` and
    `unpack.unpack` do, where the disk is too small or refuses, and where something else stands in
    the way.
    """
    root = receipt.parent
    try:
        root.mkdir(parents=True, exist_ok=True)
        _require_space(name, sum(_missing(file, root) for file in source["files"]), root)
        files = [_file(name, file, source, root) for file in source["files"]]
        about = {key: source[key] for key in ("title", "page", "licence", "citation")}
        tables.write_json(receipt, about | {"accepted": source["licence"], "files": files})
    except OSError as error:
        raise errors.of_system(error.filename or root, error) from error


def _file(name: str, file: dict, source: dict, root: Path) -> dict:
    """The record of a file of a source, which is in its place afterwards."""
    final, part = root / file["makes"], _part(file, root)
    record = part.with_name(f"{part.name}.json")
    if final.exists():
        if record.exists() and _is_of(done := tables.read_json(record), file):
            print(f"{name}: {file['makes']} is there", flush=True)
            return done
        problem = "it is there already, and was not fetched from this address"
        raise InputError(final, problem, "Move it away, or use it: a dataset needs no receipt")
    print(f"{name}: fetching {file['address']}", flush=True)
    facts = fetch.file(file, part, source["page"])
    _say_unverified(name, file, facts)
    made, counts = _made(name, part, file)
    date = time.strftime("%Y-%m-%d", time.gmtime())
    facts |= {"verified": sources.verified(file), "date": date, "unpacked": counts}
    tables.write_json(record, {"makes": file["makes"], **facts, "stated": file})
    final.parent.mkdir(parents=True, exist_ok=True)
    os.rename(made, final)
    _clear(part)
    return tables.read_json(record)


def _part(file: dict, root: Path) -> Path:
    """Where a file lies while it is fetched."""
    return root / paths.UNFINISHED / file["makes"].replace("/", "-")


def _missing(file: dict, root: Path) -> int:
    """The bytes of a file that are still to be fetched; 0 where its source states no size."""
    part = _part(file, root)
    there = part.stat().st_size if part.exists() else 0
    return 0 if (root / file["makes"]).exists() else max(file.get("size", 0) - there, 0)


def _is_of(record: dict, file: dict) -> bool:
    """Whether a record is of a file as its source states it now."""
    stated = [file.get(key, record[key]) == record[key] for key in ("size", "sha256")]
    return record["stated"]["address"] == file["address"] and all(stated)


def _made(name: str, part: Path, file: dict) -> tuple[Path, dict | None]:
    """What is to be moved into place, and how much was unpacked."""
    if "packed" not in file:
        return part, None
    folder = part.with_name(f"{part.name}.unpacked")
    shutil.rmtree(folder, ignore_errors=True)
    _require_space(name, file["limit"]["bytes"], part.parent)
    inner = PurePosixPath(file["makes"]).name
    print(f"{name}: unpacking {inner}", flush=True)
    try:
        counts = unpack.unpack(part, file["packed"], folder, file["limit"], inner)
        return unpack.chosen(folder, inner, part), counts
    except InputError:
        _clear(part)
        raise


def _clear(part: Path) -> None:
    """Remove what fetching a file has left beside its record."""
    part.unlink(missing_ok=True)
    part.with_name(f"{part.name}.version").unlink(missing_ok=True)
    shutil.rmtree(part.with_name(f"{part.name}.unpacked"), ignore_errors=True)


def _say_unverified(name: str, file: dict, facts: dict) -> None:
    if not sources.verified(file):
        print(
            f"{name}: {file['makes']} is unverified, because its source states no checksum; its "
            f"sha256 is {facts['sha256']}",
            flush=True,
        )


def _require_space(name: str, needed: int, folder: Path) -> None:
    """Raise InputError if a folder's disk has less room than so many bytes."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        problem = f"it may need {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in {folder}"
        raise InputError(name, problem, "Free some space, or link that folder to a larger disk")
