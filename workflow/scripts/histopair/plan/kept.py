"""What planning found out of files, kept for the next start: hashes, and what code imports.

To parse three hundred files of code at each start of Snakemake would take half of our part of it.
An answer belongs to the content that it was found in, or to the time stamps of a given file, so it
cannot grow old. The file may be deleted at any time, and one that cannot be read counts as none. It
is written when the process ends, if there is anything new, and only where Snakemake keeps its own
state.
"""

import atexit
import hashlib
import json
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

MOST = 5000  # answers: with more, all but those of this start are forgotten


class Kept:
    """Answers of JSON's types by question, in a file below `folder`, or nowhere without it."""

    def __init__(self, folder: Path):
        self.file = folder.absolute() / "histopair" / "kept.json"
        self.old = _read(self.file)
        self.asked: dict[str, Any] = {}

    def answer(self, question: object, find: Callable[[], Any]) -> Any:
        """What find() says, asked only if no start before this one asked the same question."""
        key = hashlib.sha256(json.dumps([platform.python_version(), question]).encode()).hexdigest()
        if key not in self.asked:
            self.asked[key] = self.old[key] if key in self.old else find()
        return self.asked[key]

    def write(self) -> None:
        """Write all answers, if one is new; a folder that takes no file is left as it is."""
        answers = self.old | self.asked
        if len(answers) == len(self.old) or not self.file.parents[1].is_dir():
            return
        kept = answers if len(answers) <= MOST else self.asked
        unfinished = self.file.with_suffix(f".{platform.node()}-{os.getpid()}")
        with suppress(OSError):
            self.file.parent.mkdir(exist_ok=True)
            unfinished.write_text(json.dumps(kept), encoding="utf-8")
            os.replace(unfinished, self.file)


@cache
def here() -> Kept:
    """The answers of the working folder."""
    kept = Kept(Path(".snakemake"))
    atexit.register(kept.write)
    return kept


def _read(file: Path) -> dict[str, Any]:
    try:
        answers = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return answers if isinstance(answers, dict) else {}
