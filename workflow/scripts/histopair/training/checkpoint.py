"""The state of a training on disk: a killed run resumes from it and ends with the same bits."""

import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from histopair.files import tables
from histopair.jobs import devices
from histopair.training import parallel


@dataclass
class Progress:
    """What training changes besides the weights; `step` and `sums` (of losses) are this epoch's."""

    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    best: dict = field(default_factory=lambda: {"loss": math.inf, "epoch": -1, "weights": {}})
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    saved: float = field(default_factory=time.monotonic)


def folder(path: str, about: dict, inputs: Iterable[str]) -> str:
    """A folder for the checkpoints of a job with these settings, code, versions and input files.

    Checkpoints of any other job are removed: going on from them would give neither job's result.
    """
    mark, identity = Path(path, "job"), _identity(about, inputs)
    if mark.exists() and mark.read_text() == identity:
        return path
    if mark.parent.exists():
        print(f"{path}: checkpoints of other settings, code or inputs are removed", flush=True)
        shutil.rmtree(path)
    tables.write_text(mark, identity)
    return path


def _identity(about: dict, inputs: Iterable[str]) -> str:
    files = [file for path in map(Path, inputs) for file in [path, *sorted(path.rglob("*"))]]
    states = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    content = json.dumps([about, states], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def save(file: Path, stage, now: Progress, device: torch.device) -> None:
    """Write the whole state of a training; if that fails, the last checkpoint stays."""
    random = parallel.gathered(devices.random_state(device))
    if parallel.rank():
        return
    state = {
        "weights": weights(stage.model),
        "optimizer": now.optimizer.state_dict(),
        "scaler": now.scaler.state_dict(),
        "history": stage.history,
        "best": now.best,
        "step": now.step,
        "sums": now.sums,
        "random": random,
    }
    with tables.replacing(file) as temporary:
        torch.save(state, temporary)


def load(file: Path, stage, now: Progress, device: torch.device) -> None:
    """Set stage, progress and random numbers to the checkpoint's, if there is one."""
    if not file.is_file():
        return
    state = torch.load(file, map_location="cpu", weights_only=True)
    stage.model.load_state_dict(state["weights"], strict=False)
    now.optimizer.load_state_dict(state["optimizer"])
    now.scaler.load_state_dict(state["scaler"])
    stage.history[:] = state["history"]
    now.best, now.step, now.sums = state["best"], state["step"], state["sums"]
    devices.set_random_state(state["random"][parallel.rank()], device)
    inside = f", step {now.step} of the next" if now.step else ""
    print(f"{stage.name} stage: resumed after epoch {len(stage.history)}{inside}", flush=True)


def weights(model: nn.Module) -> dict[str, Tensor]:
    """What training changes: trainable parameters and all buffers (batch statistics)."""
    state = model.state_dict(keep_vars=True)
    frozen = {k for k, v in state.items() if isinstance(v, nn.Parameter) and not v.requires_grad}
    return {k: v.detach().clone() for k, v in state.items() if k not in frozen}
