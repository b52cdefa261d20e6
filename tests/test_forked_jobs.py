"""Jobs that `histopair run` forks from a process with their libraries loaded."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import forked_jobs
from commands import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs are forked on Linux alone")
TERMINAL = Path(forked_jobs.__file__).parent


@pytest.mark.parametrize(
    "words, forked",
    [
        (["--cores", "2"], True),
        (["--use-conda"], True),  # jobs with an environment of their own start as ever
        (["--profile", "mine"], False),
        (["--workflow-profile", "profiles/slurm"], False),
        (["--executor", "slurm"], False),
    ],
)
def test_jobs_are_forked_where_no_profile_and_no_executor_is_named(monkeypatch, words, forked):
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    monkeypatch.delenv("SLURM_CONF", raising=False)
    starter = run.starter(run.parsed(words))
    assert starter == (
        [str(TERMINAL / "forked_jobs.py"), "snakemake"] if forked else ["-m", "snakemake"]
    )


def start(tmp_path: Path, script: str) -> subprocess.Popen:
    """A process that forks a script as a job, with nothing preloaded, and ends as it ends."""
    job = tmp_path / "job.py"
    job.write_text(script)
    fork = f"process = forked_jobs.FORKED.Process(target=forked_jobs._run, args=({str(job)!r},))"
    lines = [f"import sys; sys.path.insert(0, {str(TERMINAL)!r})", "import forked_jobs", fork]
    lines += ["process.start()", "process.join()", "sys.exit(process.exitcode)"]
    return subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stderr=subprocess.DEVNULL)


def running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_job_ends_when_what_started_it_is_killed(tmp_path):
    said = tmp_path / "pid"
    script = f"import os, time\nopen({str(said)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    parent = start(tmp_path, script)
    for _ in range(600):
        if said.exists() and said.read_text():
            break
        time.sleep(0.1)
    job = int(said.read_text())
    assert running(job)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(100):
        if not running(job):
            break
        time.sleep(0.1)
    assert not running(job)


@pytest.mark.parametrize("script, status", [("", 0), ("1 / 0", 1), ("import sys; sys.exit(3)", 3)])
def test_a_jobs_exit_status_is_that_of_its_script(tmp_path, script, status):
    assert start(tmp_path, script).wait() == status
