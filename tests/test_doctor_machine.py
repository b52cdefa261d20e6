"""The doctor of a machine: packages, GPU, Slurm, and no network without request."""

import os
import socket
import types
from pathlib import Path

import pytest
from huggingface_hub import constants

from histopair.doctor import environment, offline
from histopair.doctor.rows import LOOK, MISSING, OK, UNKNOWN, WRONG, Row

ROOT = Path(__file__).parents[1]


def test_versions_that_differ_from_the_lock_are_named_and_marks_of_a_build_are_not(monkeypatch):
    installed = {"torch": "2.14.1+cpu", "timm": "1.0.30", "numpy": "2.4.6"}
    monkeypatch.setattr(environment, "_version", installed.get)
    lock = (
        "timm==1.0.31 \\\n    --hash=sha256:0\ntorch==2.14.1 \\\nnumpy==2.3.0 ; python < '3.12'\n"
    )
    lock += "numpy==2.4.6 ; python >= '3.12'\nrich==15.0.0\n"
    assert environment.differing(lock) == ["timm 1.0.30 (lock: 1.0.31)"]


def test_the_lock_of_this_checkout_is_found():
    assert environment.LOCK == ROOT / "requirements.lock" and environment.LOCK.is_file()


@pytest.mark.parametrize(
    ("package", "state"), [("timm", MISSING), ("peft", MISSING), ("h5py", MISSING), ("onnx", LOOK)]
)
def test_a_package_that_lacks_is_red_unless_few_commands_need_it(monkeypatch, package, state):
    whole = environment._version
    monkeypatch.setattr(environment, "_version", lambda x: None if x == package else whole(x))
    rows = list(environment._packages())
    assert rows[0].state == state and f"{package} not installed" in rows[0].finding
    assert OK not in {row.state for row in rows}


def test_packages_of_single_commands_are_declared():
    assert environment.OF_SOME - set(environment.declared(environment.DECLARED)) == set()


@pytest.mark.parametrize(
    ("wanted", "slurm", "state"), [(0, False, OK), (1, False, WRONG), (1, True, UNKNOWN)]
)
def test_a_gpu_that_the_config_asks_for_and_that_is_not_here(wanted, slurm, state, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(environment.shutil, "which", lambda name: "sbatch" if slurm else None)
    assert environment._gpu(wanted).state == state


@pytest.mark.parametrize(
    ("processes", "slurm", "state"), [(1, False, OK), (2, False, WRONG), (2, True, OK)]
)
def test_processes_that_train_a_run_need_a_gpu_each(processes, slurm, state, monkeypatch):
    gpu = types.SimpleNamespace(name="a GPU", total_memory=8e9)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda _: gpu)
    monkeypatch.setattr(environment.shutil, "which", lambda name: "sbatch" if slurm else None)
    row = environment._gpu(1, processes)
    assert row.state == state and ("training.processes is 2" in row.finding) is (state == WRONG)


def test_slurm_that_does_not_answer_is_no_reason_to_wait(tmp_path, monkeypatch):
    for name, text in {"sbatch": "", "sinfo": "exec sleep 30"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(environment, "PATIENCE", 0.2)
    assert environment._slurm().state == LOOK
    (tmp_path / "sinfo").write_text("#!/bin/sh\nprintf 'gpu\\ncpu\\n'\n")
    monkeypatch.setattr(environment, "PATIENCE", 10)
    assert environment._slurm() == Row("slurm", OK, "partitions gpu, cpu; run with profiles/slurm")


def test_inside_no_network_other_machines_cannot_be_reached():
    before = constants.HF_HUB_OFFLINE
    with offline.no_network():
        assert constants.HF_HUB_OFFLINE
        with pytest.raises(offline.NoNetworkError):
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        with pytest.raises(offline.NoNetworkError), socket.socket() as opened:
            opened.connect(("127.0.0.1", 9))
    assert constants.HF_HUB_OFFLINE is before
    with pytest.raises(ConnectionRefusedError), socket.socket() as opened:
        opened.connect(("127.0.0.1", 9))


@pytest.mark.parametrize(
    ("variable", "asked", "allowed"),
    [(None, False, False), (None, True, True), ("0", False, True), ("1", False, False)],
)
def test_the_network_is_used_only_on_request(variable, asked, allowed, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    if variable:
        monkeypatch.setenv("HF_HUB_OFFLINE", variable)
    assert offline.allowed(asked) is allowed


def test_a_user_may_let_the_doctor_wait_longer_for_the_hub(monkeypatch):
    monkeypatch.setattr(os, "environ", {"HF_HUB_ETAG_TIMEOUT": "60", "HF_HUB_OFFLINE": "1"})
    before = socket.getdefaulttimeout()
    offline.prepare(online=True)
    socket.setdefaulttimeout(before)
    assert (os.environ["HF_HUB_ETAG_TIMEOUT"], os.environ["HF_HUB_OFFLINE"]) == ("60", "0")
    assert os.environ["HF_HUB_DOWNLOAD_TIMEOUT"] == "10"
