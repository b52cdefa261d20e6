"""Encoders that the workflow trains itself, saved in the layouts that their libraries load.

A kind is one file here with `build(world)`, a generator of stages as a method's, and a literal
REQUIRES, the keys that its config entry must have; after the last stage has been trained,
`save(stage, world, folder)` writes the encoder. One process trains it, whatever
`training.processes` says: a contrastive loss needs the whole batch in one place, because a part of
a batch has fewer negatives.
"""

import importlib
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from histopair.errors import InputError
from histopair.files import tables
from histopair.images import pixels
from histopair.training import loop


@dataclass
class World:
    """What a kind of encoder is trained on: its config, a dataset, and what else it needs.

    `towers` are the config entries of the encoders it is built from; `reports` the corpora's
    chunks, as its text tower reads them.
    """

    settings: dict
    labels: str
    root: str
    reports: list[str]
    towers: dict[str, dict]
    seed: int
    device: torch.device
    image_cache_mb: int

    @cached_property
    def samples(self) -> pd.DataFrame:
        return tables.read(self.labels)

    @cached_property
    def about(self) -> dict:
        return tables.about(self.labels)

    def rows(self, split: str) -> Tensor:
        return torch.from_numpy((self.samples["split"] == split).to_numpy().nonzero()[0])

    def pixels(self, preprocess) -> pixels.Source:
        paths = list(self.samples["path"])
        return pixels.Source(self.root, paths, preprocess, self.image_cache_mb, self.device)

    def captions(self) -> list[str]:
        """Every sample's caption. Raises InputError if one has none."""
        missing = self.samples["caption"].isna()
        if missing.any():
            raise InputError(
                self.labels,
                f"sample {self.samples['sample_id'][missing].iloc[0]!r} has no caption",
                "Train this kind of encoder on a dataset with a caption for every image",
            )
        return list(self.samples["caption"])

    def stage(self, name: str, model, fetch, loss) -> loop.Stage:
        """A stage on the dataset's train and val rows with the settings of the config."""
        chosen = {key: self.settings[key] for key in loop.SETTINGS if key in self.settings}
        return loop.Stage(
            name,
            model.to(self.device),
            self.rows("train"),
            self.rows("val"),
            lambda rows, *turns: {"rows": rows, **fetch(rows, *turns)},
            loss,
            **chosen,
        )


def execute(world: World, resume: str, out: str, about: dict) -> None:
    """Train an encoder and write its folder, whole or not at all, with its training history."""
    kind = importlib.import_module(f"histopair.training.pretrain.{world.settings['kind']}")
    history: list[dict] = []
    for stage in kind.build(world):
        loop.fit(stage, world.seed, resume, world.device)
        history += stage.history
    partial = Path(f"{out}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    kind.save(stage, world, partial)
    tables.write(partial / "history.parquet", pd.DataFrame(history), about)
    tables.write_json(partial / "histopair.json", about)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
    shutil.rmtree(resume, ignore_errors=True)


def turned(pixels: Tensor) -> Tensor:
    """A batch (n, 3, h, w) flipped and turned by right angles at random: tissue has no upright."""
    for axis in (2, 3):
        chosen = torch.rand(len(pixels), device=pixels.device) < 0.5
        pixels = torch.where(chosen.view(-1, 1, 1, 1), pixels.flip(axis), pixels)
    if pixels.shape[2] == pixels.shape[3] and torch.rand(()) < 0.5:
        pixels = pixels.transpose(2, 3)
    return pixels
