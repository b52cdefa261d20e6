"""The machine and what is installed: versions, GPU, threads, memory, allocator, Slurm."""

import ctypes
import os
import platform
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from histopair.doctor.rows import LOOK, MISSING, OK, UNKNOWN, WRONG, Row, checked

CHECKOUT = Path(__file__).parents[4]
LOCK = CHECKOUT / "requirements.lock"
DECLARED = CHECKOUT / "pyproject.toml"
# Packages of single commands and targets, such as serve, export and Slurm.
OF_SOME = {"fastapi", "onnx", "onnxruntime", "onnxscript", "optuna", "python-multipart"}
OF_SOME |= {"snakemake-executor-plugin-slurm", "tensorboard", "uvicorn"}
SHOWN = ("snakemake", "torch")
PATIENCE = 5  # seconds for Slurm's controller
MEMORY = 8e9  # bytes that the largest rule asks for, clean_labels


def rows(gpu: int, processes: int = 1) -> Iterator[Row]:
    """`gpu`: how many GPUs the config asks for in each job; `processes`: how many train a run."""
    yield from checked("packages", _packages)
    yield from checked("gpu", lambda: [_gpu(gpu, processes)])
    yield from checked("threads and memory", lambda: [_threads()])
    yield from checked("allocator", lambda: [_allocator()])
    yield from checked("slurm", lambda: [_slurm()])


def _packages() -> Iterator[Row]:
    python = f"Python {platform.python_version()}"
    lacking = [name for name in declared(DECLARED) if _version(name) is None]
    if lacking:
        state = LOOK if OF_SOME.issuperset(lacking) else MISSING
        problem = f"{python}: {', '.join(lacking)} not installed"
        yield Row("packages", state, problem, "Run make install in the checkout")
    if not LOCK.is_file():
        yield Row("packages", UNKNOWN, f"{python}; there is no {LOCK.name} to compare with")
        return
    others = differing(LOCK.read_text(encoding="utf-8"))
    shown = ", ".join(f"{name} {_version(name)}" for name in SHOWN if _version(name))
    if others:
        first = "; ".join(others[:3]) + (f" and {len(others) - 3} more" if others[3:] else "")
        finding = f"{python}, {shown}; other versions than {LOCK.name}: {first}"
        yield Row("packages", LOOK, finding, "make install brings the versions that were tested")
    elif not lacking:
        yield Row("packages", OK, f"{python}, {shown}; all as {LOCK.name} has them")


def declared(project: Path) -> list[str]:
    """The packages that a pyproject.toml names as dependencies; none if there is no such file."""
    if not project.is_file():
        return []
    content = tomllib.loads(project.read_text(encoding="utf-8"))
    return [re.match(r"[\w-]+", one)[0] for one in content["project"]["dependencies"]]


def differing(lock: str) -> list[str]:
    """What is installed in another version than a lock has it; what is not installed is left out.

    A build's own mark, as in 2.14.1+cpu, makes no other version. A lock may have a package twice,
    for different systems.
    """
    pinned: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==([^\s;]+)", lock, re.MULTILINE):
        pinned.setdefault(name, []).append(version)
    installed = {name: version for name in pinned if (version := _version(name))}
    return [
        f"{name} {version} (lock: {' or '.join(pinned[name])})"
        for name, version in installed.items()
        if version.partition("+")[0] not in {other.partition("+")[0] for other in pinned[name]}
    ]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _gpu(wanted: int, processes: int = 1) -> Row:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        shown = ", ".join(f"{gpu.name} with {gpu.total_memory / 1e9:.0f} GB" for gpu in names)
        finding = f"CUDA {torch.version.cuda}: {shown}"
        if processes > len(names) and not shutil.which("sbatch"):
            finding += f"; training.processes is {processes}, and each needs one of its own"
            return Row("gpu", WRONG, finding, "Lower training.processes")
        if not wanted:
            return Row("gpu", LOOK, finding, "Set `gpu: 1`, so that jobs do not share it")
        return Row("gpu", OK, finding)
    built = f"torch for CUDA {torch.version.cuda}" if torch.version.cuda else "torch without CUDA"
    if not wanted:
        return Row("gpu", OK, f"none, and the config asks for none ({built})")
    if shutil.which("sbatch"):
        finding = f"none on this machine ({built}); Slurm may give one"
        return Row("gpu", UNKNOWN, finding, "Run the doctor in an allocation with a GPU")
    finding = f"`gpu` is {wanted}, and torch sees none ({built})"
    return Row("gpu", WRONG, finding, "Set `gpu: 0`, or install a driver and a torch for it")


def gpu_memory() -> int | None:
    """Bytes of the first GPU's memory; None without a GPU."""
    import torch

    if not torch.cuda.is_available():
        return None
    return torch.cuda.get_device_properties(0).total_memory


def _threads() -> Row:
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total
    finding = f"{cores} cores for this process, {memory / 1e9:.0f} GB of memory"
    if memory < MEMORY:
        remedy = "Cleaning asks for 8 GB: use a larger machine, or small datasets"
        return Row("threads and memory", LOOK, finding, remedy)
    return Row("threads and memory", OK, f"{finding}; run with --cores {cores}")


def _allocator() -> Row:
    try:
        ctypes.CDLL(None).mallopt  # noqa: B018
    except (AttributeError, OSError, TypeError):
        finding = "its C library has no mallopt: convolutions on a CPU take up to twice as long"
        return Row("allocator", LOOK, finding, "Use a Linux with glibc for runs on a CPU")
    return Row("allocator", OK, "glibc, which keeps freed memory for the next batch")


def _slurm() -> Row:
    if not shutil.which("sbatch"):
        return Row("slurm", OK, "none on this machine: jobs run here")
    try:
        ask = ["sinfo", "--noheader", "--format=%R"]
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        remedy = "Ask its administrators; without Slurm, run with profiles/default"
        return Row(
            "slurm", LOOK, f"its controller does not answer ({type(error).__name__})", remedy
        )
    partitions = ", ".join(dict.fromkeys(answer.stdout.split()))
    return Row("slurm", OK, f"partitions {partitions}; run with profiles/slurm")
