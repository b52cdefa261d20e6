"""Processes of one run start by fork, srun or torchrun; one that fails or is lost ends the run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from histopair.errors import InputError
from histopair.training import parallel, processes

PACKAGE = str(Path(processes.__file__).parents[2])
TORCHRUN = f"{Path(sys.executable).parent}/torchrun --nproc-per-node=2 --no-python"
# As srun with SLURM_KILL_BAD_EXIT: the first task that fails ends the others.
SRUN = """#!/bin/bash
for task in $(seq 0 $((SLURM_NTASKS - 1))); do
    SLURM_PROCID=$task SLURM_LOCALID=$task "$@" &
done
for task in $(seq 1 "$SLURM_NTASKS"); do
    wait -n || { status=$?; kill $(jobs -p); exit $status; }
done
"""
# A job that needs no Snakemake, and what each of its processes does.
JOB = """
from types import SimpleNamespace

snakemake = SimpleNamespace(threads=2, log=["log.txt"], output=["made.txt"], rule="run")
snakemake.params = snakemake.wildcards = {{}}
snakemake.resources = {{"mpi": {starter!r}}}
"""
WORK = """
import os, signal, sys

sys.path.insert(0, {package!r})
from histopair.jobs import job

with job(snakemake):
    import torch
    from histopair.errors import InputError
    from histopair.training import parallel, processes

    def work():
        one = parallel.rank() == 1
        print("process 0 alone prints")
        {step}
        places = torch.tensor([parallel.rank()])
        rows = parallel.in_order(torch.tensor([[10.0 + parallel.rank()]]), places, 2)
        if one:
            with open(snakemake.output[0], "w") as made:
                made.write(str(rows.flatten().tolist()) + os.environ["OMP_NUM_THREADS"])

    processes.launch(work, 2, snakemake.resources.get("mpi", ""))
"""


def started(folder: Path, starter: str, step: str = "pass"):
    """A job whose processes `starter` starts, and what its log holds."""
    (folder / "srun").write_text(SRUN)
    (folder / "srun").chmod(0o755)
    text = (JOB + WORK).format(package=PACKAGE, step=step, starter=starter)
    (folder / "script.py").write_text(text)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "RANK": "7"}
    command = [sys.executable, "script.py"]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return ended, (folder / "log.txt").read_text()


@pytest.mark.parametrize("starter", ["srun", TORCHRUN])
def test_a_command_starts_the_processes(tmp_path, starter):
    """srun's have the job's threads each, torchrun's share them."""
    ended, log = started(tmp_path, starter)
    assert (ended.returncode, ended.stderr) == (0, ""), log
    assert log.count("process 0 alone prints") == 1
    threads = "2" if starter == "srun" else "1"
    assert (tmp_path / "made.txt").read_text() == "[10.0, 11.0]" + threads
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "log.txt",
        "made.txt",
        "script.py",
        "srun",
    ]


BAD = 'if one: raise InputError("tiles/7.png", "it is no image", "Remove it", row=7)'
LOST = "if one: os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (BAD, "tiles/7.png, row 7: it is no image. Remove it"),
        (
            LOST,
            "training.processes: one of 2 processes failed or was lost, and the log says which: "
            "srun ended with status 137. Short memory is a frequent cause. A rerun goes on from "
            "the last checkpoint",
        ),
    ],
)
def test_one_that_fails_ends_the_job_in_one_line(tmp_path, step, line):
    ended, log = started(tmp_path, "srun", step)
    assert (ended.returncode, ended.stderr) == (1, f"histopair: {line}\n"), log
    assert log.splitlines()[-1] == f"error: {line}"


def test_a_command_that_starts_nothing_fit_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "script.py")])
    with pytest.raises(InputError, match="resource mpi: no-such-command: No such file"):
        processes.launch(lambda: None, 2, "no-such-command")
    monkeypatch.setenv("HISTOPAIR_PART_OF", str(tmp_path))
    with pytest.raises(SystemExit):
        processes.launch(lambda: None, 2, "mpirun")
    assert "(SLURM_PROCID is not set)" in (tmp_path / "error").read_text().replace("'", "")
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "3"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        processes.launch(lambda: None, 2, "srun")
    problem = "resource mpi: it started 3 processes, and training.processes is 2"
    assert (tmp_path / "error").read_text().startswith(problem)


def test_bad_input_that_a_fork_meets_is_one_line_and_ends_all():
    def work():
        if parallel.rank() == 1:
            raise InputError("tiles/7.png", "it is no image", "Remove it", row=7)
        parallel.totals({"loss": 1.0})

    with pytest.raises(InputError) as caught:
        processes.launch(work, 2)
    assert str(caught.value) == "tiles/7.png, row 7: it is no image. Remove it"


def test_a_fault_in_a_fork_keeps_its_traceback():
    def work():
        raise KeyError("a fault")

    with pytest.raises(torch.multiprocessing.ProcessRaisedException, match="KeyError: 'a fault'"):
        processes.launch(work, 2)
