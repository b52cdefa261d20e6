"""The small workflow on Slurm: jobs are cancelled and killed, then Snakemake, and nothing is lost.

SLURM_START and SLURM_STOP may hold the commands that start and stop a cluster.
"""

import os
import shutil
import subprocess
import sys
import time
from typing import NamedTuple

import pytest
import test_processes

import workflow

# Three studies of five trainings, one of them on retrieved reports.
TARGETS = [f"results/studies/{study}.html" for study in ("breast", "frozen", "locked")]
PROFILE = ["--workflow-profile", "profiles/slurm", "--configfile", workflow.CONFIG]
# Jobs of 5.5 GB that are tried again on nodes of 8 GB.
PROFILE += ["--config", "max_mem_mb=7500"]
ASK_SOONER = ["--slurm-init-seconds-before-status-checks", "5"]
# A step inside a Slurm job: it kills the processes of the job's script, and prints how many.
KILL = """
import os, psutil
killed = 0
for process in psutil.process_iter(["cmdline", "environ"]):
    words, of = process.info["cmdline"] or [], process.info["environ"] or {}
    script = any("/.snakemake/scripts/" in word for word in words[:3])
    other = process.pid != os.getpid()
    if script and other and of.get("SLURM_JOB_ID") == os.environ["SLURM_JOB_ID"]:
        process.kill()
        killed += 1
print(killed or "")
"""
# What a study concludes, and what decides it.
COMPARED = ("runs/**/metrics.json", "runs/**/predictions.parquet", "pairs/**/*", "studies/*.csv")
ALIVE = ("PENDING", "RUNNING", "COMPLETED")
PATIENCE = 3600.0  # seconds


class SlurmJob(NamedTuple):
    number: str
    state: str
    folder: str
    comment: str  # rule_run_wildcards_..., or the rules of a group


def said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def jobs(folder, *states: str) -> list[SlurmJob]:
    """Slurm's jobs of a folder, in any of these states."""
    lines = said("squeue", "--me", "--noheader", "--states=all", "--format=%A|%T|%Z|%k")
    listed = (SlurmJob(*line.split("|", 3)) for line in lines.splitlines())
    return [job for job in listed if job.folder == str(folder) and job.state in states]


def trainings(folder, *states: str) -> dict[str, str]:
    """Number of the latest Slurm job of each training that is in one of these states."""
    of_runs = (job for job in jobs(folder, *states) if job.comment.startswith("rule_run_"))
    return {job.comment: job.number for job in sorted(of_runs, key=lambda job: int(job.number))}


def at_work(folder, wanted=lambda name, number: True) -> tuple[str, str] | None:
    """Name and number of the first training that runs and is wanted."""
    running = trainings(folder, "RUNNING").items()
    return next((job for job in running if wanted(*job)), None)


def wait_until(holds, process: subprocess.Popen | None = None):
    """What `holds()` returns as soon as it is true."""
    end = time.monotonic() + PATIENCE
    while not (value := holds()):
        assert process is None or process.poll() is None, "Snakemake ended too soon"
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(1)
    return value


def started(folder) -> subprocess.Popen:
    with open(folder / "run.log", "a") as log:
        words = [*workflow.HISTOPAIR_RUN, *TARGETS, *PROFILE, *ASK_SOONER]
        return subprocess.Popen(words, cwd=folder, env=environment(), stdout=log, stderr=log)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}


def kill_script(number: str) -> str:
    """`kill -9` of the script of a Slurm job, on its node; "" if it has not started."""
    step = ["srun", f"--jobid={number}", "--overlap", "--ntasks=1", sys.executable, "-c", KILL]
    return subprocess.run(step, capture_output=True, text=True, check=False).stdout.strip()


def compared(results) -> dict[str, bytes]:
    files = {path for pattern in COMPARED for path in results.glob(pattern) if path.is_file()}
    return {str(path.relative_to(results)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def slurm():
    """A cluster that answers, started and stopped by SLURM_START and SLURM_STOP if they are set."""
    if start := os.environ.get("SLURM_START"):
        subprocess.run(start, shell=True, check=True)
    if not shutil.which("sbatch"):
        pytest.skip("no Slurm: sbatch is not on PATH (SLURM_START may start a cluster)")
    if subprocess.run(["sinfo"], capture_output=True, check=False).returncode:
        pytest.skip("no Slurm: sinfo gets no answer (SLURM_START may start a cluster)")
    yield
    if stop := os.environ.get("SLURM_STOP"):
        subprocess.run(stop, shell=True, check=True)


def kill_and_cancel(folder, process) -> None:
    """Kill the script of a training and cancel another; return once both are tried again."""
    killed = wait_until(lambda: at_work(folder, lambda _, number: kill_script(number)), process)
    cancelled = wait_until(lambda: at_work(folder, lambda name, _: name != killed[0]), process)
    said("scancel", cancelled[1])
    wait_until(lambda: tried_again(folder, *killed) and tried_again(folder, *cancelled), process)


def tried_again(folder, name: str, number: str) -> bool:
    return int(trainings(folder, *ALIVE).get(name, 0)) > int(number)


def kill_snakemake(folder, process) -> None:
    """Kill it while a training runs: its jobs go on, and no new run starts until they end."""
    wait_until(lambda: at_work(folder), process)
    process.kill()
    process.wait()
    assert started(folder).wait() == 1
    assert "at work in this folder" in (folder / "run.log").read_text().splitlines()[-1]
    said("scancel", *(job.number for job in jobs(folder, "PENDING", "RUNNING")))
    wait_until(lambda: not jobs(folder, "PENDING", "RUNNING", "COMPLETING"))


def test_what_is_cancelled_or_killed_on_slurm_ends_in_the_results_of_one_machine(slurm, tmp_path):
    folder = workflow.copy_to(tmp_path.resolve() / "slurm")
    # Parts on Slurm, and one job for each work on one machine.
    workflow.edit(folder / workflow.CONFIG, "shard_size: 4,", "shard_size: 4, jobs: 2,")
    process = started(folder)
    kill_and_cancel(folder, process)
    kill_snakemake(folder, process)
    assert started(folder).wait() == 0, (folder / "run.log").read_text()[-5000:]

    local = workflow.copy_to(tmp_path / "local")
    assert workflow.run(local, *TARGETS).returncode == 0
    expected = compared(local / "results")
    assert len(expected) > 40
    assert compared(folder / "results") == expected


SNAKEFILE = """
rule run:
    output: "made.txt"
    log: "log.txt"
    resources: mpi="srun", tasks=2, mem_mb=1500, runtime=10, disk_mb=0
    script: "script.py"
"""


def test_srun_starts_the_processes_of_a_run(slurm, tmp_path):
    """They find each other, and each has the threads of the job."""
    work = test_processes.WORK.format(package=test_processes.PACKAGE, step="pass")
    (tmp_path / "script.py").write_text(work)
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    options = ["--executor", "slurm", "--jobs", "1", "--latency-wait", "30"]
    options += ["--slurm-status-command", "squeue", *ASK_SOONER]
    subprocess.run([sys.executable, "-m", "snakemake", *options], cwd=tmp_path, check=True)
    assert (tmp_path / "made.txt").read_text() == "[10.0, 11.0]1"
    assert (tmp_path / "log.txt").read_text().count("process 0 alone prints") == 1
