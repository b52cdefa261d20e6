"""Finished pieces of a long computation, kept for the next one that needs the same.

A piece's name is three hashes: of how all pieces of its store are made, of what this one is made
of, and of its own bytes. So a job that was killed finds its finished pieces again and never takes
another's, and a piece that a disk has damaged is made again. Several jobs may make pieces of one
store at once, as long as each piece has one maker and none of them clears it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path


class Store:
    """The pieces of one folder that are made in one way: `made_by`, of JSON's types."""

    def __init__(self, folder: str | Path, made_by: object, end: str = "parquet"):
        self.folder, self.made_by, self.end = Path(folder), hashed(made_by), end

    def piece(self, content: object, write: Callable[[Path], None]) -> Path:
        """The file of the piece that is made of `content` (JSON's types); made now if absent.

        write(path) writes it there, whole or not at all.
        """
        return self.found(content) or self._made(f"{self.made_by}-{hashed(content)}", write)

    def found(self, content: object) -> Path | None:
        """The whole file of the piece that is made of `content`; None if there is none."""
        return next(self._whole(f"{self.made_by}-{hashed(content)}"), None)

    def named(self) -> list[Path]:
        """Every piece that is there, whole or damaged."""
        return sorted(self.folder.glob(f"{self.made_by}-*.{self.end}"))

    def finished(self) -> list[Path]:
        """Every whole piece that is there."""
        return list(self._whole(self.made_by))

    def clear(self, kept: Iterable[Path]) -> None:
        """Delete all files except these: other pieces, and unfinished ones."""
        for file in set(self.folder.glob("*")) - set(kept):
            file.unlink()

    def _whole(self, name: str) -> Iterable[Path]:
        for file in sorted(self.folder.glob(f"{name}-*.{self.end}")):
            if file.stem.endswith(f"-{checksum(file)}"):
                yield file
                continue
            print(f"{file} is damaged; it is made again", flush=True)
            file.unlink()

    def _made(self, name: str, write: Callable[[Path], None]) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        unnamed = self.folder / f"unfinished-{name}.{self.end}"
        write(unnamed)
        file = self.folder / f"{name}-{checksum(unnamed)}.{self.end}"
        os.replace(unnamed, file)
        return file


def hashed(value: object) -> str:
    """Hash of a value of JSON's types, the same in every process."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def checksum(file: Path) -> str:
    """Hash of a file's bytes."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]
