"""What `trust` needs, measured on a run's own train and validation split when it is exported.

The limits and the threshold come from validation, which also chose the run's epoch and its
temperature: they can be a little too narrow, and a test split shows by how much.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from histopair.evaluation import calibration, tasks
from histopair.export import finished, mark
from histopair.export.predictor import Predictor
from histopair.export.second_read import conformal, familiar, look, trust
from histopair.files import tables

MOST = 512  # images of a split; more would take long on a processor, and change little


def write(run, model: Predictor, config: dict, predictions: str, settings: dict, folder: Path):
    """Write what is usual of training images into the folder; what config.json says as `trust`.

    settings: `coverage` of the sets, and `flagged`, the share of validation images that each
    warning names; more keys do not matter.
    """
    settings = {name: settings[name] for name in ("coverage", "flagged")}
    threshold, samples = _threshold(config, predictions, settings["coverage"])
    train, val = (_measured(run, model, split) for split in ("train", "val"))
    usual = {}
    if len(train.features) > 1:
        of_train = {"unfamiliar": train.features, "unusual": train.appearance}
        usual = {name: familiar.fitted(values) for name, values in of_train.items()}
        trust.save(usual, folder, config[mark.KEY])
    numbers = {"samples": samples, "images": len(val.features)}
    limits = _limits(val, usual, settings["flagged"])
    return {**settings, "threshold": threshold, "limits": limits, "validation": numbers}


def _limits(val: "_Measured", usual: dict[str, familiar.Familiar], flagged: float) -> dict:
    """The value of each warning that a share `flagged` of validation images exceeds, if any can."""
    worse = {"blurred": -val.focus, "magnified": val.scale, "shrunk": -val.scale}
    of_val = {"unfamiliar": val.features, "unusual": val.appearance}
    if len(val.features):
        worse |= {name: one.distance(of_val[name]) for name, one in usual.items()}
    limits = {name: limit(values, flagged) for name, values in worse.items()}
    return {name: value for name, value in limits.items() if value is not None}


def limit(values: np.ndarray, flagged: float) -> float | None:
    """The value that another image like these exceeds with a probability of at most `flagged`.

    The ceil((n + 1)(1 - flagged))-th smallest of n (Angelopoulos and Bates 2021, section 1.1); None
    if n is too small for it.
    """
    rank = math.ceil((len(values) + 1) * (1 - flagged) - 1e-9)
    return float(np.sort(values)[rank - 1]) if rank <= len(values) else None


def _threshold(config: dict, predictions: str, coverage: float) -> tuple[float | None, int]:
    """The threshold of the sets and how many validation samples decide it; None without any."""
    table = tables.read(predictions)
    rows = (table["split"] == "val").to_numpy()
    task = tasks.of(config["task"])
    scores = tables.matrix(predictions, "scores")[rows].astype(float)
    if not rows.any() or not task.are_probabilities(scores):
        return None, 0
    truth = task.truth(table[rows], config["classes"], predictions)
    scaled = calibration.scale(scores, task, config["temperature"])
    return conformal.threshold(truth, scaled, config["task"], coverage), int(rows.sum())


class _Measured(NamedTuple):
    """Features (n, d), appearance (n, 15), focus and scale (n,); none if no image is read."""

    features: np.ndarray
    appearance: np.ndarray
    focus: np.ndarray
    scale: np.ndarray


@torch.inference_mode()
def _measured(run, model: Predictor, split: str) -> _Measured:
    """Of at most MOST images, spread over the split."""
    rows = run.samples[run.samples["split"] == split].drop_duplicates("path")
    if rows.empty or model.image is None:
        return _Measured(*np.zeros((4, 0)))
    chosen = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, MOST).astype(int))]
    parts = []
    for start in range(0, len(chosen), finished.BATCH):
        pixels, _ = finished.inputs_of(run, model, chosen.iloc[start : start + finished.BATCH])
        measures = (look.appearance, look.focus, look.scale)
        numbers = [np.array([measure(one) for one in pixels.numpy()]) for measure in measures]
        parts.append((model.image(pixels).numpy(), *numbers))
    return _Measured(*map(np.concatenate, zip(*parts, strict=True)))
