"""The exported models of a server, each with the name by which it is asked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from histopair.errors import InputError
from histopair.export import read
from histopair.export.read import Exported
from serve.refusals import Refusal

BLANK = Image.new("RGB", (64, 64))


def load(folders: Sequence[str | Path]) -> dict[str, Exported]:
    """Models by name, dataset/encoder/method/seed.

    Raises InputError for a folder that is no export, and for two with one name.
    """
    models: dict[str, Exported] = {}
    for folder in folders:
        model = read.load(folder)
        name = "{dataset}/{encoder}/{method}/{seed}".format(**model.config["run"])
        if name in models:
            problem = f"another export is named {name}, too"
            raise InputError(folder, problem, "Serve them one at a time")
        models[name] = model
    return models


def chosen(models: dict[str, Exported], name: str | None) -> tuple[str, Exported]:
    """The model of a name; the first one without a name."""
    name = name or next(iter(models))
    if name not in models:
        raise Refusal(422, "model", f"there is no {name[:100]!r}", f"Choose {', '.join(models)}")
    return name, models[name]


def described(name: str, model: Exported) -> dict:
    """What a page says of a model: its run, what it reads, and how sure its probabilities are."""
    config = model.config
    keys = ("run", "task", "reads", "synthetic", "calibrated", "temperature")
    about = {key: config[key] for key in keys} | {"name": name, "input": None}
    about["temperature_at_bound"] = config.get("temperature_at_bound", False)
    if "image" in model.reads:
        about["input"] = list(model.pixels(BLANK).shape[:0:-1])
    about["labels"] = [{key: label[key] for key in ("label", "name")} for label in model.labels]
    return about


def unlearnt(model: Exported) -> list[dict]:
    """Labels of which the model saw no training sample: it cannot tell them."""
    keys = ("label", "name")
    rows = [label for label in model.labels if label.get("train_samples", 1) == 0]
    return [{key: label[key] for key in keys} for label in rows]


def probabilities(name: str, model: Exported, image: Image.Image | None, note: str) -> np.ndarray:
    """Calibrated probabilities (C,) of an image, a note, or both: what the model reads of them."""
    pixels = model.pixels(image)[None] if "image" in model.reads else None
    values = model.probabilities(pixels, [note] if "text" in model.reads else None)[0]
    if not np.isfinite(values).all():
        raise InputError(name, "it gives no number for this image", "Export another run")
    return values
