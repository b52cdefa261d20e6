"""A killed run is gone on with, and a run at work is left alone."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

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


def resume(folder):
    return subprocess.run(
        [*RUN, "--cores", "1"], cwd=folder, text=True, capture_output=True, check=False
    )


def at_work(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_after_kill_9_the_job_left_behind_is_ended_and_the_run_goes_on(start, tmp_path):
    killed, job = start(RUN)
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


@pytest.mark.parametrize("given", [["--configfile", "a.yaml", "b.yaml"], ["--configfile=b.yaml"]])
def test_a_config_that_snakemake_cannot_decode_is_one_line(tmp_path, given):
    (tmp_path / "a.yaml").write_text("a: 1\n")
    (tmp_path / "b.yaml").write_bytes("a: 1\n".encode("utf-16"))
    command = [*RUN, "--cores", "1", *given, "-n"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == "histopair: b.yaml: it is UTF-16. Save it as UTF-8\n"
    assert done.returncode == 1 and not (tmp_path / ".snakemake").exists()
