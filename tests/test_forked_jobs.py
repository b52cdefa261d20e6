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
STARTER = """
import subprocess, sys, threading, time
from multiprocessing import forkserver
from types import SimpleNamespace

sys.path.insert(0, {terminal!r})
import forked_jobs

def late(function, seconds):
    return lambda *given: [time.sleep(seconds), function(*given)][1]

def status():
    try:
        forked_jobs._fork(SimpleNamespace(bench_record=None, log=[{log!r}]), {job!r})
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0

if __name__ == "__main__":  # a job imports this file, too
    from snakemake import benchmark
    {main}
"""


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
    starter = "forked_jobs.py" if forked else "lock_holders.py"
    assert run.starter(run.parsed(words)) == [str(TERMINAL / starter), "snakemake"]


def start(tmp_path: Path, script: str, main: str = "sys.exit(status())") -> subprocess.Popen:
    """A process that forks a script as a job, with nothing preloaded, and ends as it ends."""
    job, log = tmp_path / "job.py", tmp_path / "log.txt"
    job.write_text(script)
    text = STARTER.format(terminal=str(TERMINAL), job=str(job), log=str(log), main=main)
    (tmp_path / "start.py").write_text(text)
    return subprocess.Popen([sys.executable, tmp_path / "start.py"], stderr=subprocess.DEVNULL)


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


def test_jobs_that_end_at_once_all_succeed(tmp_path):
    main = """
    forkserver.read_signed = late(forkserver.read_signed, 0.2)
    ended = []
    def work():
        for _ in range(3):
            ended.append(status())
    threads = [threading.Thread(target=work) for _ in range(3)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    sys.exit(int(ended != [0] * 9))
"""
    assert start(tmp_path, "", main).wait() == 0


def test_a_job_may_end_before_it_is_measured(tmp_path):
    main = "benchmark.BenchmarkTimer = late(benchmark.BenchmarkTimer, 3); sys.exit(status())"
    assert start(tmp_path, "", main).wait() == 0


def test_the_log_of_a_job_that_was_killed_says_so(tmp_path):
    log, kill = tmp_path / "log.txt", "import os; os.kill(os.getpid(), {})"
    log.write_text("epoch 3\n")
    assert start(tmp_path, kill.format(9)).wait() == 256 - signal.SIGKILL
    killed = "error: the job was ended by SIGKILL. Short memory is a frequent cause\n"
    assert log.read_text() == f"epoch 3\n{killed}"
    start(tmp_path, kill.format(11)).wait()
    assert log.read_text() == f"epoch 3\n{killed}error: the job was ended by SIGSEGV\n"
