"""Run Snakemake in this folder, going on where a killed run stopped.

    python workflow/resume.py [SNAKEMAKE ARGUMENTS]

A killed Snakemake leaves its lock behind, and jobs that go on without it. Both are cleared away
here, unless a Snakemake is at work in this folder: then nothing is touched and the exit code is 1.
"""

import fcntl
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent / "scripts"))

from histopair.errors import InputError
from histopair.plan import config_files

SNAKEMAKE = [sys.executable, "-m", "snakemake"]


def running() -> list[psutil.Process]:
    """Snakemake processes at work in this folder, however they were started."""
    return [
        process
        for process in psutil.process_iter(["cwd", "cmdline"])
        if process.info["cwd"] == os.getcwd()
        and any(Path(word).name == "snakemake" for word in (process.info["cmdline"] or [])[:4])
    ]


def orphans() -> list[psutil.Process]:
    """Jobs of this folder and all that they started. Call it only when no Snakemake is running."""
    scripts = f"{os.getcwd()}/.snakemake/scripts/"
    jobs = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(scripts in word for word in process.info["cmdline"] or [])
    ]
    found = set(jobs)
    for job in jobs:
        with suppress(psutil.NoSuchProcess):
            found.update(job.children(recursive=True))
    return list(found)


def end(processes: list[psutil.Process]) -> None:
    """Ask the processes to end, and make those that have not after ten seconds."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=10)[1]:
        process.kill()


def check_configs(arguments: list[str]) -> None:
    """End with one line for a config file for which Snakemake would end with a traceback."""
    try:
        for path in configs(arguments):
            config_files.check(path)
    except InputError as mistake:
        sys.exit(f"histopair: {mistake}")


def configs(arguments: list[str]) -> list[str]:
    """The config files that Snakemake's arguments name: `--configfile A B` or `--configfile=A`."""
    found, inside = [], False
    for word in arguments:
        option, _, value = word.partition("=")
        if word.startswith("-"):
            inside = option in ("--configfile", "--configfiles")
            word = value
        found += [word] if inside and word else []
    return found


def main(arguments: list[str]) -> None:
    check_configs(arguments)
    state = Path(".snakemake")
    state.mkdir(exist_ok=True)
    # Held by this process and, after exec, by Snakemake: the kernel frees it even after kill -9.
    guard = os.open(state / "resume.lock", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(guard, True)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("Another run is at work in this folder: wait or stop it first.")
    if others := running():
        pids = ", ".join(str(process.pid) for process in others)
        sys.exit(f"Snakemake is at work in this folder (pid {pids}): wait or stop it first.")
    if left := orphans():
        print(f"Ending {len(left)} processes of a killed run.", flush=True)
        end(left)
    if any(state.glob("locks/*.lock")):
        print("Removing the lock of a killed run.", flush=True)
        subprocess.run([*SNAKEMAKE, "--unlock", "--quiet", "all"], check=True)
    # The Slurm plugin asks a controller at every start, and waits ten seconds for one that is down.
    os.environ.setdefault("SLURM_CONF", os.devnull)
    os.execv(sys.executable, [*SNAKEMAKE, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
