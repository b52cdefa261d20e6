"""Run Snakemake, and go on where a killed run stopped.

    histopair run [SNAKEMAKE ARGUMENTS]

It works in the current folder if that has a config/config.yaml, else in the checkout. Files that
the arguments name may be in either; those of the current folder come first.
A killed run leaves behind its lock, and jobs that go on without it. This command clears both. It
touches nothing, and the exit status is 1, if a Snakemake is running in that folder, if Slurm has
jobs of it, or if its lock may be of a plain Snakemake or of a run on another machine or in another
container; --unlock removes such a lock.
It uses all cores, unless the arguments or profiles/default say how many. With a profile or an
executor of your choice, these say it.
`snakemake --help` lists the arguments.
"""

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

import commands
from histopair.plan import config_files
from terminal import lock_holders

SNAKEFILES = ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")
# Abbreviations and joined letters, such as -pj4, count too; comments of a profile do not.
CORES_GIVEN = re.compile(r"-\w*[cj]|--(cor|jobs?(=|$))")
CORES_IN_PROFILE = re.compile(r"^[^#\n]*(?<![-\w])(cores|jobs)[\"']?\s*:", re.MULTILINE)
TERMINAL = Path(__file__).resolve().parents[1] / "terminal"


def main(words: list[str]) -> None:
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return
    options = parsed(words)
    if options.directory is None:
        named = [options.snakefile, options.profile, options.workflow_profile]
        whole = go_to(commands.folder(), [*options.configfile, *filter(None, named)])
        words = [with_path(word, whole) for word in words]
        options = parsed(words)
    for path in options.configfile:  # Snakemake shows a traceback for a file that it cannot decode
        config_files.check(path)
    folder = (options.directory or Path.cwd()).resolve()
    hold(folder)
    if not options.unlock:
        check_locks(folder)
    clear(folder)
    command = [sys.executable, *starter(options), *added(options), *cores(options, words), *words]
    os.environ.update(environment(options))
    os.execv(sys.executable, command)


def parsed(words: list[str]) -> argparse.Namespace:
    """The Snakemake arguments that matter here."""
    parser = argparse.ArgumentParser(prog="histopair run", add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", action="extend", default=[])
    parser.add_argument("--directory", "-d", type=Path)
    parser.add_argument("--quiet", "-q", nargs="*")
    parser.add_argument("--unlock", action="store_true")
    for name in ("--snakefile", "--logger", "--executor", "--profile", "--workflow-profile"):
        parser.add_argument(name, *{"--snakefile": ["-s"], "--executor": ["-e"]}.get(name, []))
    return parser.parse_known_args(words)[0]


def go_to(folder: Path, named: Iterable[str]) -> dict[str, str]:
    """Work in a folder, and say so if it is not the current one.

    named: files that may be here. Returns the whole paths of those: the folder may have its own.
    """
    if folder == Path.cwd():
        return {}
    whole = {path: os.path.abspath(path) for path in named if os.path.exists(path)}
    print(f"histopair: in {folder}, as there is no config/config.yaml here", flush=True)
    os.chdir(folder)
    return whole


def with_path(word: str, whole: dict[str, str]) -> str:
    """An argument with the whole path of the file that it names, also as --snakefile=FILE."""
    option, name = re.fullmatch("(-s|--[a-z-]+=|)(.*)", word, re.DOTALL).groups()
    return option + whole[name] if name in whole else word


def starter(options: argparse.Namespace) -> list[str]:
    """How Python starts Snakemake: on a single machine with Linux, its jobs are forked."""
    if sys.platform != "linux" or on_cluster(options):
        return [str(TERMINAL / "lock_holders.py"), "snakemake"]
    return [str(TERMINAL / "forked_jobs.py"), "snakemake"]


def on_cluster(options: argparse.Namespace) -> bool:
    """Whether jobs may run on other machines."""
    return chosen(options) or "SLURM_CONF" in os.environ


def chosen(options: argparse.Namespace) -> bool:
    """Whether an executor or a profile is chosen."""
    words = options.executor or options.profile or options.workflow_profile
    return bool(words) or "SNAKEMAKE_PROFILE" in os.environ


def added(options: argparse.Namespace) -> list[str]:
    """Arguments that are not given: the logger and, if the folder has none, the Snakefile."""
    logger = ["--logger=calm"] if options.logger is None and options.quiet is None else []
    if options.snakefile or any(Path(name).is_file() for name in SNAKEFILES):
        return logger
    return [*logger, f"--snakefile={commands.CHECKOUT / 'Snakefile'}"]


def cores(options: argparse.Namespace, words: list[str]) -> list[str]:
    """All cores of this machine, unless arguments or a profile say how many, or may say it."""
    given = any(map(CORES_GIVEN.match, words)) or chosen(options)
    return [] if given or any(map(CORES_IN_PROFILE.search, profiles(options))) else ["--cores=all"]


def profiles(options: argparse.Namespace) -> Iterator[str]:
    """The profiles that Snakemake may read unasked, as texts: here, and beside the Snakefile."""
    snakefile = Path(options.snakefile or commands.CHECKOUT / "Snakefile")
    for folder in (Path.cwd(), snakefile.parent, Path.cwd() / "workflow"):
        for file in (folder / "profiles" / "default").glob("*.yaml"):
            yield file.read_text(encoding="utf-8", errors="replace")


def environment(options: argparse.Namespace) -> dict[str, str]:
    """Variables for Snakemake: where its logger is and, on a single machine, no Slurm.

    The Slurm plugin asks a controller at every start, and waits ten seconds if that is down.
    """
    paths = [str(TERMINAL), *filter(None, [os.environ.get("PYTHONPATH")])]
    slurm = {} if on_cluster(options) else {"SLURM_CONF": os.devnull}
    return {"PYTHONPATH": os.pathsep.join(paths)} | slurm


def hold(folder: Path) -> None:
    """Make sure that no other run works in a folder, now and until this one ends."""
    state = folder / ".snakemake"
    state.mkdir(parents=True, exist_ok=True)
    # Held by this process and, after exec, by Snakemake: the kernel frees it even after kill -9.
    guard = os.open(state / "resume.lock", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(guard, True)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("Another run is at work in this folder: wait or stop it first.")
    if others := running(folder):
        pids = ", ".join(str(process.pid) for process in others)
        sys.exit(f"Snakemake is at work in this folder (pid {pids}): wait or stop it first.")
    if jobs := " ".join(queued(folder)):
        sys.exit(f"Slurm jobs are at work in this folder: wait, or end them by `scancel {jobs}`.")


def check_locks(folder: Path) -> None:
    """Stop if a lock of a folder may be of a process that is at work where nobody here sees it."""
    for lock in sorted((folder / ".snakemake" / "locks").glob("*.lock")):
        if who := lock_holders.unsure(lock):
            sys.exit(
                f"{folder}: it is locked by {who}, which may be at work on another machine or in "
                "another container. If it has ended, repeat this command once with --unlock."
            )


def clear(folder: Path) -> None:
    """End the jobs and remove the lock that a killed run left in a folder."""
    if left := orphans(folder):
        print(f"Ending {len(left)} processes of a killed run.", flush=True)
        end(left)
    locks = folder / ".snakemake" / "locks"
    if any(locks.glob("*.lock")):
        print("Removing the lock of a killed run.", flush=True)
        shutil.rmtree(locks)


def running(folder: Path) -> list[psutil.Process]:
    """Snakemake processes that work in a folder, however they were started."""
    return [
        process
        for process in psutil.process_iter(["cwd", "cmdline"])
        if process.info["cwd"] == str(folder)
        and any(Path(word).name == "snakemake" for word in (process.info["cmdline"] or [])[:4])
    ]


def queued(folder: Path) -> list[str]:
    """Slurm's jobs of a folder: a killed Snakemake leaves them behind, on other machines."""
    if not (folder / ".snakemake" / "slurm_logs").is_dir() or not shutil.which("squeue"):
        return []
    ask = ["squeue", "--me", "--noheader", "--format=%A %Z"]
    lines = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.splitlines()
    jobs = (line.split(maxsplit=1) for line in lines)
    return [number for number, place in jobs if place == str(folder)]


def orphans(folder: Path) -> list[psutil.Process]:
    """Jobs of a folder and all that they started. Call it only when no Snakemake is running."""
    scripts = f"{folder}/.snakemake/scripts/"
    jobs = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(scripts in word for word in process.info["cmdline"] or [])
    ]
    processes = set(jobs)
    for job in jobs:
        with suppress(psutil.NoSuchProcess):
            processes.update(job.children(recursive=True))
    return list(processes)


def end(processes: list[psutil.Process]) -> None:
    """Ask the processes to end, and kill those that still run after ten seconds."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=10)[1]:
        process.kill()
