"""A copy of the workflow in a folder of its own, and how the tests run it there as a user would."""

import atexit
import gc
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import forked_jobs

ROOT = Path(__file__).parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
HISTOPAIR_RUN = [sys.executable, "workflow/commands", "run"]
CONFIG = "tests/small.yaml"
# Processes that start with Snakemake and what it loads later: that takes longer than a dry run.
LOADED = multiprocessing.get_context("forkserver")
SNAKEMAKES = ["snakemake.cli", "snakemake.report.html_reporter", "snakemake_executor_plugin_slurm"]
LOADED.set_forkserver_preload([*SNAKEMAKES, "jsonschema", "smart_open", "yte"])
# After every epoch instead of every minute: the trainings of the tests take a second.
CHECKPOINTS = ("CHECKPOINT_EVERY = 60.0", "CHECKPOINT_EVERY = 0.0")


def copy_to(folder: Path) -> Path:
    """Copy what a run needs of the repository, never its results."""
    folder.mkdir(parents=True)
    for name in ("workflow", "config", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "tests").mkdir()
    shutil.copy(ROOT / CONFIG, folder / CONFIG)
    edit(folder / "workflow/scripts/histopair/training/loop.py", *CHECKPOINTS)
    return folder


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that is in the file once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def run(folder: Path, *arguments: str, config: str = CONFIG, command=SNAKEMAKE):
    """The finished process of `snakemake --configfile CONFIG ARGUMENTS` in a folder."""
    return subprocess.run(
        [*command, "--configfile", config, "--cores", "2", *arguments],
        cwd=folder,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def environment() -> dict[str, str]:
    """That of a user: without the thread limits of the tests, and where no Slurm is at hand.

    Snakemake's plugin asks a Slurm at every start, and waits ten seconds for one that is down.
    """
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    return kept | {"SLURM_CONF": os.devnull}


def finish(folder: Path, *targets: str, config: str = CONFIG) -> Path:
    """A small workflow, run to its end by jobs that start with their libraries loaded."""
    _in_a_loaded_process(folder, config, *targets, forked=True)
    return folder


def planned(folder: Path, *arguments: str, config: str = CONFIG) -> dict[str, str]:
    """What a dry run would do: {first output of each job: its rule}."""
    return jobs_of(_in_a_loaded_process(folder, config, "--dry-run", *arguments))


def rerun_by(edited: tuple[Path, str, str], folder: Path, *arguments: str, config: str) -> set[str]:
    """The rules that an edit (file, old text, new text) would rerun; the edit is undone."""
    file, old, new = edited
    before = file.read_text()
    edit(file, old, new)
    try:
        return set(planned(folder, *arguments, config=config).values())
    finally:
        file.write_text(before)


def jobs_of(said: str) -> dict[str, str]:
    """{first output of each job: its rule}, of what a dry run said."""
    jobs, rule = {}, ""
    for line in said.splitlines():
        if start := re.match(r"(?:local)?rule (\w+):", line):
            rule = start[1]
        elif output := re.match(r"    output: ([^,]+)", line):
            jobs[output[1]] = rule
    return jobs


def _in_a_loaded_process(folder: Path, config: str, *arguments: str, forked: bool = False) -> str:
    """What `snakemake ARGUMENTS` says, which must succeed."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as log:
        words = ["--configfile", config, "--cores", "2", *arguments]
        process = LOADED.Process(target=_snakemake, args=(folder, words, log.name, forked))
        process.start()
        process.join()
        text = log.read()
    assert process.exitcode == 0, text[-5000:]
    return text


def _snakemake(folder: Path, words: list[str], log: str, forked: bool) -> None:
    """`snakemake WORDS` in a folder, in this process, with all that it says in a file."""
    from snakemake import cli

    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if forked:  # with the thread limits of the tests, as threads do not survive a fork
        os.environ["SLURM_CONF"] = os.devnull
        forked_jobs.fork_jobs()
    else:
        gc.disable()  # it ends before its garbage takes room
        kept = environment()
        os.environ.clear()
        os.environ.update(kept)
    os.chdir(folder)
    sys.argv = ["snakemake", *words]
    try:
        cli.main()
    finally:
        atexit._run_exitfuncs()  # a process of multiprocessing leaves them out


def start(folder: Path, *arguments: str, command=SNAKEMAKE) -> subprocess.Popen:
    """`snakemake ARGUMENTS` at work in a folder, leading a process group of its own."""
    with open(folder / "run.log", "w") as log:
        return subprocess.Popen(
            [*command, "--configfile", CONFIG, "--cores", "2", *arguments],
            cwd=folder,
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def kill_when(process: subprocess.Popen, holds, seconds: float = 120) -> None:
    """`kill -9` a process and all of its group as soon as `holds()`."""
    end = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below a folder, hidden ones too, by relative path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
