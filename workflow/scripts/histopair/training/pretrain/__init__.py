"""Encoders that the workflow trains itself, saved in the layouts that their libraries load.

A kind is one file here with `build(run)`, a generator of stages like a method's, and a literal
REQUIRES, the keys that its config entry must have. `save(stage, run, folder)` writes the encoder
when the last stage has been trained. One process trains it, whatever `training.processes` says: a
contrastive loss needs the whole batch in one place, because a part of it has fewer negatives.
"""

import importlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pandas as pd
import torch
from torch import Tensor, nn

from histopair.errors import InputError
from histopair.files import tables
from histopair.jobs import devices
from histopair.training.staged import Staged, train


@dataclass
class Pretraining(Staged):
    """What a kind of encoder is trained on; `method` is the `train` of its config entry.

    `towers` are the config entries of the encoders it is built from; artifacts["reports"] lists the
    corpora's chunks, as its text tower reads them.
    """

    towers: dict[str, dict]

    @property
    def recipe(self) -> ModuleType:
        return importlib.import_module(f"histopair.training.pretrain.{self.method['kind']}")

    def captions(self) -> list[str]:
        """Every sample's caption. Raises InputError if one has none."""
        missing = self.samples["caption"].isna()
        if missing.any():
            raise InputError(
                self.artifacts["labels"],
                f"sample {self.samples['sample_id'][missing].iloc[0]!r} has no caption",
                "Train this kind of encoder on a dataset with a caption for every image",
            )
        return list(self.samples["caption"])


def execute(run: Pretraining, resume: str, out: str, about: dict) -> None:
    """Train an encoder and write its folder, whole or not at all, with its training history."""
    stage, history = train(run, resume)
    partial = Path(f"{out}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    run.recipe.save(stage, run, partial)
    tables.write(partial / "history.parquet", pd.DataFrame(history), about)
    tables.write_json(partial / "histopair.json", about)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
    shutil.rmtree(resume, ignore_errors=True)


def draws(run: Staged, model: nn.Module, rows: Tensor) -> torch.Generator | None:
    """What draws a batch's random numbers: None, torch's own, in training.

    Validation draws the same in each epoch: else the best epoch would be the one with lucky draws.
    """
    if model.training:
        return None
    return torch.Generator().manual_seed(devices.seed_of(run.seed, "validation", *rows.tolist()))


def turned(pixels: Tensor) -> Tensor:
    """A batch (n, 3, h, w) flipped and turned by right angles at random: tissue has no upright."""
    for axis in (2, 3):
        chosen = torch.rand(len(pixels), device=pixels.device) < 0.5
        pixels = torch.where(chosen.view(-1, 1, 1, 1), pixels.flip(axis), pixels)
    if pixels.shape[2] == pixels.shape[3] and torch.rand(()) < 0.5:
        pixels = pixels.transpose(2, 3)
    return pixels
