"""Public data: fetched or not, licence accepted or not, and whether it is still as it was fetched.

Archives are verified when they are fetched and then removed, so that their folders are compared
with the counts of the receipt, and single files with size and checksum.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from histopair.datasets import sources
from histopair.doctor.rows import LOOK, MISSING, OK, WRONG, Row, checked
from histopair.errors import InputError
from histopair.files import paths, tables
from histopair.plan import data, fetching

AGAIN = "Move the folder away and fetch it again: {}"


def rows(config: dict, datasets: list[str], corpora: list[str]) -> Iterator[Row]:
    """The rows of the public sources that some datasets and corpora read."""
    named = [config["datasets"][name] for name in datasets]
    named += [config["corpora"][name] for name in corpora]
    for name in _used(named):
        yield from checked(f"source {name}", lambda name=name: _source(config, name))


def _used(named: list[dict]) -> list[str]:
    """The sources that entries read."""
    files = []
    for entry in named:
        files.append(entry.get("root", ""))
        try:
            files += data.published(entry)
        except (InputError, OSError):
            continue  # its own row says so
    names = (sources.of_path(os.path.normpath(file)) for file in files if file)
    return list(dict.fromkeys(filter(None, names)))


def _source(config: dict, name: str) -> Iterator[Row]:
    check, source = f"source {name}", sources.find(name)
    receipt = Path(sources.RECEIPT.format(source=name))
    if receipt.exists():
        yield from _as_fetched(check, name, tables.read_json(receipt))
    elif receipt.parent.exists():
        finding = f"{receipt.parent} has no receipt: nothing says whether it is whole"
        yield Row(check, LOOK, finding, f"It can be used; its page is {source['page']}")
    else:
        try:
            sources.require_allowed(name, fetching.accepted(config))
        except InputError as mistake:
            yield Row(check, MISSING, f"not fetched: {mistake.problem}", mistake.remedy)
            return
        finding = f"not fetched yet; its licence, {source['licence']}, is accepted"
        yield Row(check, MISSING, finding, f"Run {sources.command(name)}")


def _as_fetched(check: str, name: str, receipt: dict) -> Iterator[Row]:
    root, again = Path(sources.place(name)), AGAIN.format(sources.command(name))
    faults = [fault for file in receipt["files"] if (fault := _fault(root / file["makes"], file))]
    yield from (Row(check, state, finding, again) for state, finding in faults)
    if faults:
        return
    unverified = [file["makes"] for file in receipt["files"] if not file["verified"]]
    finding = f"{len(receipt['files'])} files as they were fetched, {receipt['accepted']}"
    if unverified:
        finding += f"; unverified, as no checksum is stated: {', '.join(unverified[:3])}"
    yield Row(check, LOOK if unverified else OK, finding)


def _fault(path: Path, file: dict) -> tuple[str, str] | None:
    """(state, finding) where a file differs from its record in the receipt."""
    counts = file["unpacked"]
    if not path.exists():
        return MISSING, f"{path} is not there any more"
    if path.is_dir():
        there = len(paths.files_below(str(path)))
        finding = f"{path} has {there:,} files; {counts['files']:,} were unpacked, maybe beside it"
        return (LOOK, finding) if there < counts["files"] else None
    if counts is None:
        return _changed(path, file)
    size = path.stat().st_size
    finding = f"{path} has {size:,} bytes, and {counts['bytes']:,} were unpacked"
    return (WRONG, finding) if counts["files"] == 1 and size != counts["bytes"] else None


def _changed(path: Path, file: dict) -> tuple[str, str] | None:
    size = path.stat().st_size
    if size != file["size"]:
        return WRONG, f"{path} has {size:,} bytes, and {file['size']:,} were fetched"
    with open(path, "rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    same = digest == file["sha256"]
    return None if same else (WRONG, f"{path} has another content than was fetched")
