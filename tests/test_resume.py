"""A killed run is gone on with, and a run at work is left alone."""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from snakemake.persistence.file import FilePersistence

import workflow
from commands import run
from terminal import lock_holders

RUN = [sys.executable, Path(__file__).parents[1] / "workflow" / "commands", "run"]
PLAIN = [sys.executable, "-m", "snakemake"]
SNAKEFILE = """
rule all:
    output: "done.txt"
    script: "job.py"
"""
# The first run never ends by itself; the next one, after `again` was made, ends at once.
JOB = """
import os, pathlib, time
if not pathlib.Path("again").exists():
    pathlib.Path("pid.tmp").write_text(str(os.getpid()))
    os.rename("pid.tmp", "pid")
    time.sleep(600)
pathlib.Path(snakemake.output[0]).write_text("done")
"""


@pytest.fixture(autouse=True)
def config(tmp_path):
    """By which `histopair run` knows the folder as one to work in."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("a: 1\n")


@pytest.fixture
def start(tmp_path):
    """Start a command in a folder of its own; returns it and its job once the job is at work."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "job.py").write_text(JOB)
    started = []

    def begin(command):
        with open(tmp_path / "log", "w") as log:
            process = subprocess.Popen(
                [*command, "--cores", "1"], cwd=tmp_path, stdout=log, stderr=log
            )
        started.append(psutil.Process(process.pid))
        while not (tmp_path / "pid").exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        started.append(psutil.Process(int((tmp_path / "pid").read_text())))
        return process, started[-1]

    yield begin
    for process in started:
        if at_work(process):
            process.kill()


def resume(folder, *words, before=()):
    command = [*before, *RUN, "--cores", "1", *words]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)


def refused(folder, **how) -> str:
    """What a run says that changes nothing."""
    before = workflow.contents(folder / ".snakemake" / "locks")
    result = resume(folder, **how)
    assert before and before == workflow.contents(folder / ".snakemake" / "locks")
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    return line


def at_work(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_after_kill_9_the_job_left_behind_is_ended_and_the_run_goes_on(start, tmp_path):
    killed, job = start([*RUN, "--executor", "local"])  # forked jobs end with Snakemake
    killed.kill()
    killed.wait()
    assert at_work(job)
    assert list(tmp_path.glob(".snakemake/locks/*.lock"))
    (tmp_path / "again").touch()
    result = resume(tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "done.txt").read_text() == "done"
    assert not at_work(job)
    assert "Nothing to be done" in resume(tmp_path).stderr


@pytest.mark.parametrize("command", [RUN, PLAIN], ids=["histopair run", "plain snakemake"])
def test_a_run_at_work_keeps_its_lock_and_its_job(start, tmp_path, command):
    running, job = start(command)
    result = resume(tmp_path)
    assert result.returncode == 1
    assert "at work in this folder" in result.stderr
    assert running.poll() is None
    assert at_work(job)
    assert list(tmp_path.glob(".snakemake/locks/*.lock"))


def test_a_snakemake_that_is_not_seen_keeps_its_lock(start, tmp_path):
    """As one in a container is not; unshare hides the processes that there are."""
    alone = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("this machine gives no PID namespaces")
    running, job = start(PLAIN)
    assert "it is locked by a Snakemake that" in refused(tmp_path, before=alone)
    assert running.poll() is None and at_work(job)


def test_the_lock_of_a_killed_plain_snakemake_stays_until_the_user_says_so(start, tmp_path):
    killed, job = start(PLAIN)
    killed.kill()
    killed.wait()
    (tmp_path / "again").touch()
    assert refused(tmp_path) == (
        f"{tmp_path}: it is locked by a Snakemake that `histopair run` did not start, which may "
        "be at work on another machine or in another container. If it has ended, repeat this "
        "command once with --unlock."
    )
    assert at_work(job)
    assert resume(tmp_path, "--unlock").returncode == 0
    assert resume(tmp_path).returncode == 0
    assert (tmp_path / "done.txt").exists()


@pytest.fixture
def locks(tmp_path, monkeypatch) -> Path:
    """The folder of locks that a process took which has ended since."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    monkeypatch.setattr(FilePersistence, "_write_locks", FilePersistence._write_locks)
    lock_holders.note_locks()
    taken = FilePersistence(path=tmp_path / ".snakemake")
    taken._write_locks("input", ["a.txt"])
    taken._write_locks("output", ["b.txt"])
    change_notes(tmp_path / ".snakemake" / "locks", pid=ended.pid)
    return tmp_path / ".snakemake" / "locks"


def change_notes(locks, **facts):
    for note in locks.glob("*.holder"):
        note.write_text(json.dumps(json.loads(note.read_text()) | facts))


def test_locks_of_a_process_that_has_ended_hold_nothing(locks, tmp_path):
    assert {path.suffix for path in locks.iterdir()} == {".lock", ".holder"}
    run.check_locks(tmp_path)
    change_notes(locks, pid=os.getpid(), start=psutil.Process().create_time() - 3600)
    run.check_locks(tmp_path)  # another process has its number by now


@pytest.mark.parametrize(
    "facts",
    [{"host": "elsewhere"}, {"namespace": "pid:[1]"}, {"pid": os.getpid()}],
    ids=["another machine", "another container", "alive"],
)
def test_locks_of_a_process_that_may_live_hold(locks, tmp_path, facts):
    change_notes(locks, **facts)
    host = facts.get("host", platform.node())
    with pytest.raises(SystemExit, match=rf"it is locked by a run on {host} \(pid \d+\), which"):
        run.check_locks(tmp_path)


@pytest.mark.parametrize("note", [None, "", "{"])
def test_a_lock_without_a_whole_note_holds_beside_others(locks, tmp_path, note):
    """Two Snakemakes may work in a folder, on other files."""
    (locks / "1.output.lock").write_text("other.txt\n")
    if note is not None:
        (locks / "1.output.holder").write_text(note)
    with pytest.raises(SystemExit, match="a Snakemake that `histopair run` did not start"):
        run.check_locks(tmp_path)


def test_snakemake_removes_the_notes_with_its_locks(locks, tmp_path):
    FilePersistence(path=tmp_path / ".snakemake").unlock()
    assert not locks.exists()


@pytest.mark.parametrize("given", [["--configfile", "a.yaml", "b.yaml"], ["--configfile=b.yaml"]])
def test_a_config_that_snakemake_cannot_decode_is_one_line(tmp_path, given):
    (tmp_path / "a.yaml").write_text("a: 1\n")
    (tmp_path / "b.yaml").write_bytes("a: 1\n".encode("utf-16"))
    command = [*RUN, "--cores", "1", *given, "-n"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == "histopair: b.yaml: it is UTF-16. Save it as UTF-8\n"
    assert done.returncode == 1 and not (tmp_path / ".snakemake").exists()
