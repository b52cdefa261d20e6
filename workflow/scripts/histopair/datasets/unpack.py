"""Unpack an archive of unknown content: nothing leaves its folder, nothing fills the disk.

Only files and folders are unpacked, written by this code with the rights of a new file. A link, a
device, a name that leads outside or occurs twice, and more files or bytes than the source allows
end it.
"""

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from histopair import errors
from histopair.errors import InputError
from histopair.files import paths

BLOCK = 1 << 20
# What the readers of archives raise; the last two for encryption and an unknown compression.
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError)
DAMAGE += (RuntimeError, NotImplementedError)
REFUSED = "Nothing of it is kept. Its source may have been tampered with"


def unpack(archive: Path, packed: str, folder: Path, limit: dict[str, int], name: str) -> dict:
    """Unpack into a new folder; gives how many files and bytes there are.

    packed: zip, tar (compressed or not) or gz, which holds one file, called `name`. limit: the most
    files and bytes. Raises InputError for a damaged archive, and one that is not allowed.
    """
    folder.mkdir(parents=True)
    counts = {"files": 0, "bytes": 0}
    with _damage(archive):
        members = _of_gz(archive, name) if packed == "gz" else MEMBERS[packed](archive)
        for path, content in members:
            counts["files"] += 1
            if counts["files"] > limit["files"]:
                raise _refused(archive, f"it holds more than {limit['files']:,} files")
            _write(content, folder / path, limit["bytes"], counts, archive)
    return counts


def chosen(folder: Path, name: str, archive: Path) -> Path:
    """What of an unpacked folder is meant: the entry of that name, the only folder, or all.

    Raises InputError for an empty archive, and one without the file `name`, which has an ending.
    """
    there = sorted(path.name for path in folder.iterdir() if not paths.hidden(path.name))
    if name in there:
        return folder / name
    if not there or "." in name:
        problem = f"it holds no {name!r}, but {', '.join(there[:5]) or 'nothing'}"
        raise InputError(archive, problem, REFUSED)
    return folder / there[0] if len(there) == 1 and (folder / there[0]).is_dir() else folder


def _of_zip(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(archive, f"{member.filename!r} is a link or a device")
            path = _inside(member.filename, archive)
            if not member.is_dir():
                with file.open(member) as content:
                    yield path, content


def _of_tar(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive, "r|*") as file:
        for member in file:
            if not member.isreg() and not member.isdir():
                raise _refused(archive, f"{member.name!r} is a link or a device")
            path = _inside(member.name, archive)
            if member.isreg():
                yield path, file.extractfile(member)


def _of_gz(archive: Path, name: str) -> Iterator[tuple[str, IO[bytes]]]:
    with gzip.open(archive) as content:
        yield name, content


MEMBERS = {"zip": _of_zip, "tar": _of_tar}


def _inside(name: str, archive: Path) -> str:
    """The name of a member, if it stays in its folder."""
    spelled = name.replace("\\", "/")
    parts = PurePosixPath(spelled).parts
    drive = len(spelled) > 1 and spelled[1] == ":"
    if spelled.startswith("/") or drive or ".." in parts or "\0" in spelled:
        raise _refused(archive, f"{name!r} leads out of its folder")
    return "/".join(parts)


def _write(content: IO[bytes], path: Path, most: int, counts: dict, archive: Path) -> None:
    if path.exists():
        raise _refused(archive, f"{path.name!r} occurs twice in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb") as file:
        while block := content.read(BLOCK):
            counts["bytes"] += len(block)
            if counts["bytes"] > most:
                raise _refused(archive, f"it unpacks to more than {most:,} bytes")
            file.write(block)


@contextmanager
def _damage(archive: Path):
    """Turn what the readers of archives raise into an InputError."""
    try:
        yield
    except OSError as error:
        if error.errno in errors.FULL:
            raise errors.of_system(archive, error) from error
        raise _damaged(archive, error) from error
    except DAMAGE as error:
        raise _damaged(archive, error) from error


def _damaged(archive: Path, error: Exception) -> InputError:
    return InputError(archive, f"it cannot be unpacked ({str(error)[:80]})", "Fetch it again")


def _refused(archive: Path, problem: str) -> InputError:
    return InputError(archive, problem, REFUSED)
