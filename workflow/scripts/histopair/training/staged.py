"""What is trained in stages on one dataset: a run, or an encoder in `pretrain`.

Apart from one_run.py, so that an edit of what only runs do trains no encoder again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from histopair.files import tables
from histopair.images import pixels
from histopair.training import loop


@dataclass
class Staged:
    """A dataset, settings and a seed. A subclass has `recipe`, the module that builds the stages.

    `artifacts` holds paths, of the labels at least; `root` is the folder of the images; `method`
    holds the loop's settings among its own.
    """

    artifacts: dict
    root: str
    method: dict
    seed: int
    device: torch.device
    image_cache_mb: int

    @cached_property
    def samples(self) -> pd.DataFrame:
        return tables.read(self.artifacts["labels"])

    @cached_property
    def about(self) -> dict:
        return tables.about(self.artifacts["labels"])

    def rows(self, split: str) -> Tensor:
        return torch.from_numpy(np.flatnonzero(self.samples["split"] == split))

    def pixels(self, preprocess: Callable) -> pixels.Source:
        """Pixels (n, 3, h, w) on the device for row numbers, kept in memory if they all fit."""
        paths = list(self.samples["path"])
        return pixels.Source(self.root, paths, preprocess, self.image_cache_mb, self.device)

    def stage(
        self,
        name: str,
        model: nn.Module,
        fetch: Callable[..., dict],
        loss: Callable[[nn.Module, dict], dict],
        scores: Callable[[nn.Module, dict], Tensor] | None = None,
        **overrides,
    ) -> loop.Stage:
        """A stage with the method's own optimiser settings, on the labelled train and val rows."""
        settings = {key: self.method[key] for key in loop.SETTINGS if key in self.method}
        settings |= {"train": self.rows("train"), "val": self.rows("val")}
        settings |= {"scores": scores} | overrides

        def with_rows(rows, *turns):
            return {"rows": rows, **fetch(rows, *turns)}

        model = model.to(self.device)
        return loop.Stage(name, model, fetch=with_rows, loss=loss, **settings)


def train(run: Staged, resume: str, events: str = "") -> tuple[loop.Stage, list[dict]]:
    """Train the stages in turn: the last one, which predicts or is saved, and the history of all.

    The recipe's `build(run)` is a generator: each stage is trained before the next is asked for.
    `events` is a folder for TensorBoard, or "" for none.
    """
    history: list[dict] = []
    torch.manual_seed(run.seed)  # of weights that start at random
    for stage in run.recipe.build(run):
        if stage.epochs:
            loop.fit(stage, run.seed, resume, run.device, events)
        history += stage.history
    return stage, history
