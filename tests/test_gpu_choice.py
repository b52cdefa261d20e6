"""Jobs at once on one machine take a GPU each, whoever else is killed."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from histopair.jobs import gpus

LISTED = "\n".join(f"GPU {i}: Some (TM) model (UUID: GPU-{i}a-{i}b)" for i in range(3))
FIRST, SECOND, THIRD = (f"GPU-{i}a-{i}b" for i in range(3))
JOB = """
import os, sys, time
from histopair.jobs import gpus
gpus.take(int(sys.argv[1]))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """Three GPUs, as nvidia-smi lists them, of which nobody has taken any."""
    (tmp_path / "listed").write_text(LISTED + "\n")
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f'#!/bin/sh\n[ "$1" = -L ] && cat {tmp_path}/listed\n')
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(gpus.__file__).parents[2]))
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def start():
    processes = []

    def begin(count: int) -> subprocess.Popen:
        words = [sys.executable, "-c", JOB, str(count)]
        processes.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def taken(process: subprocess.Popen) -> str:
    return process.stdout.readline().strip()


def test_jobs_at_once_take_different_gpus_and_the_next_waits_for_one_that_is_free(start):
    two = start(2)
    assert taken(two) == f"{FIRST},{SECOND}"
    one = start(1)
    assert taken(one) == THIRD
    waiting = start(1)
    assert taken(waiting) == "waiting for 1 of 3 GPUs: other jobs have them"
    two.kill()
    assert taken(waiting) == FIRST


def test_of_gpus_that_are_visible_alone_a_job_takes_its_count(start, monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "2,0")
    assert [taken(start(1)), taken(start(1))] == ["2", "0"]


@pytest.mark.parametrize(("visible", "count"), [("1", 1), ("0,1", 2), ("", 1), ("0,1", 0)])
def test_where_there_is_nothing_to_choose_nothing_changes(start, monkeypatch, visible, count):
    monkeypatch.setenv(gpus.VISIBLE, visible)
    assert [taken(start(count)), taken(start(count))] == [visible, visible]


def test_without_an_nvidia_driver_there_is_no_gpu(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert gpus.visible() == []
