"""Which GPUs of a machine with several a job uses, so that jobs at once do not share one.

Snakemake counts GPUs (`resources: gpu`) and hands out none by name: each job would take the first.
Slurm shows a job only its own; then there is nothing to choose.
"""

import fcntl
import os
import re
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
_held: list[int] = []  # locks of this process; the kernel frees them at its end, even by kill -9


def take(count: int) -> None:
    """Show this process `count` GPUs that no other job of this user has taken; wait for them.

    Call it before torch looks for GPUs. With no more GPUs than that, or for 0, it changes nothing.
    """
    names = visible() if count else []
    if len(names) <= count:
        return
    taken = _locked(names, count)
    if not taken:
        print(f"waiting for {count} of {len(names)} GPUs: other jobs have them", flush=True)
    while not taken:
        time.sleep(1)
        taken = _locked(names, count)
    os.environ[VISIBLE] = ",".join(taken)


def visible() -> list[str]:
    """Names of the GPUs that this process may use, as in CUDA_VISIBLE_DEVICES; [] without any."""
    if VISIBLE in os.environ:
        return [name for name in os.environ[VISIBLE].split(",") if name]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    except OSError:
        return []
    return re.findall(r"^GPU \d+:.*\(UUID: (GPU-[\w-]+)\)$", listed.stdout, re.MULTILINE)


def _locked(names: list[str], count: int) -> list[str]:
    """The first `count` names that nobody has locked, locked; [] and no lock if there are fewer."""
    folder = Path(tempfile.gettempdir(), f"histopair-gpus-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    locks = {}
    for name in names:
        lock = os.open(folder / name.replace("/", "-"), os.O_RDWR | os.O_CREAT)
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locks[name] = lock
            if len(locks) == count:
                _held.extend(locks.values())
                return list(locks)
            continue
        os.close(lock)
    for lock in locks.values():
        os.close(lock)
    return []
