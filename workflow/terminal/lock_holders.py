"""Snakemake that notes beside each of its locks who holds it.

    python lock_holders.py snakemake [SNAKEMAKE ARGUMENTS]

A lock does not say whose it is, and processes of other machines and containers are not seen.
Snakemake removes the notes with its locks.
"""

import json
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

import psutil

NAMESPACE = "/proc/self/ns/pid"  # on Linux: only processes of the same one are seen
SAME_START = 60  # seconds: the start that a system tells moves with its clock


def main(words: list[str]) -> None:
    note_locks()
    from snakemake.cli import main as snakemake

    sys.argv = words
    snakemake()


def note_locks() -> None:
    """From now on, write a note beside each lock that Snakemake takes in this process."""
    from snakemake.persistence.file import FilePersistence

    lock = FilePersistence._write_locks

    def lock_and_note(persistence: FilePersistence, kind: str, files) -> None:
        lock(persistence, kind, files)
        if path := persistence._lockfile.get(kind):
            note = _here() | {"pid": os.getpid(), "start": psutil.Process().create_time()}
            _note(Path(path)).write_text(json.dumps(note), encoding="utf-8")

    FilePersistence._write_locks = lock_and_note


def unsure(lock: Path) -> str:
    """Who may hold a lock still; "" if the note says that it was a process that has ended."""
    try:
        note = json.loads(_note(lock).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "a Snakemake that `histopair run` did not start"
    if _here().items() <= note.items() and not _lives(note["pid"], note["start"]):
        return ""
    return f"a run on {note['host']} (pid {note['pid']})"


def _note(lock: Path) -> Path:
    return lock.with_suffix(".holder")


def _here() -> dict[str, str]:
    """Where this process can be seen from: its host and, on Linux, its PID namespace."""
    here = {"host": platform.node(), "namespace": ""}
    with suppress(OSError):
        here["namespace"] = os.readlink(NAMESPACE)
    return here


def _lives(pid: int, start: float) -> bool:
    try:
        process = psutil.Process(pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return not ended and abs(process.create_time() - start) < SAME_START
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    main(sys.argv[1:])
