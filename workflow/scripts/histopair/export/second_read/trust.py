"""Whether an answer can be trusted: is the image like those of training, and what may be true.

`measured` writes what this reads: the key `trust` of config.json, and trust.safetensors beside it.
Needs no torch.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from histopair.errors import InputError
from histopair.export import mark
from histopair.export.read import Exported
from histopair.export.second_read import conformal, look
from histopair.export.second_read.familiar import Familiar

FILE = "trust.safetensors"
TITLES = {
    "unfamiliar": "the model sees something unlike the training images",
    "unusual": "its colours or textures are unlike those of the training images",
    "blurred": "less sharp than the training images",
    "magnified": "its structures are larger than in the training images",
    "shrunk": "its structures are smaller than in the training images",
}


@dataclass
class Trust:
    """What `measured.write` found for one exported model.

    settings: coverage; flagged, the share of validation images that each warning names; threshold
    of the sets, or None; limits, by warning; validation, the numbers of samples and images that
    decided them. familiar: what is usual of features ("unfamiliar") and of `look.appearance`
    ("unusual"), by the warning that measures the distance from it.
    """

    settings: dict
    familiar: dict[str, Familiar]
    task: str
    classes: list[str]

    def warnings(self, pixels: np.ndarray | None, features: np.ndarray | None) -> list[dict]:
        """Each warning's name, title, value, limit and whether it holds, of one image.

        pixels (3, h, w) and features (d,), as `Exported.answer` gives them.
        """
        values = self.values(pixels, features)
        return [
            {"name": name, "title": TITLES[name], "value": value, "limit": limit}
            | {"holds": limit is not None and value > limit}
            for name, value in values.items()
            for limit in [self.settings["limits"].get(name)]
        ]

    def values(self, pixels: np.ndarray | None, features: np.ndarray | None) -> dict[str, float]:
        """What each warning measures; larger is worse."""
        values = {}
        measured = {"unfamiliar": features}
        measured["unusual"] = None if pixels is None else look.appearance(pixels)
        for name, usual in self.familiar.items():
            if measured[name] is not None:
                values[name] = float(usual.distance(measured[name][None])[0])
        if pixels is not None:
            size = look.scale(pixels)
            values |= {"blurred": -look.focus(pixels), "magnified": size, "shrunk": -size}
        return values

    def findings(self, probabilities: np.ndarray) -> dict:
        """The findings that may be true of one image, from its probabilities (C,).

        `set`: their labels, None without a threshold; `abstains`: the model does not decide, for a
        set of none, or, where classes exclude each other, of several.
        """
        threshold = self.settings["threshold"]
        if threshold is None:
            return {"set": None, "coverage": None, "abstains": False}
        chosen = conformal.sets(probabilities, threshold)
        names = [name for name, one in zip(self.classes, chosen, strict=True) if one]
        abstains = len(names) != 1 if self.task == "single" else not names
        return {"set": names, "coverage": self.settings["coverage"], "abstains": abstains}


def load(exported: Exported) -> Trust | None:
    """What an exported folder says about trust; None for one that was written without.

    Raises InputError if its two files do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    config, file = exported.config, exported.folder / FILE
    settings = config.get("trust")
    if settings is None:
        return None
    try:
        stored = {}
        if file.is_file():
            mark.check_tensors(file, config)
            stored = load_file(file)
        names = [name for name in ("unfamiliar", "unusual") if f"{name}.mean" in stored]
        arrays = {name: [stored[f"{name}.{part}"] for part in Familiar._fields] for name in names}
        familiar = {name: Familiar(*parts) for name, parts in arrays.items()}
        if not {"coverage", "threshold", "limits"} <= settings.keys():
            raise ValueError("`trust` of config.json lacks a key")
        return Trust(settings, familiar, config["task"], config["classes"])
    except (AttributeError, KeyError, OSError, SafetensorError, TypeError, ValueError) as error:
        problem = f"it does not fit config.json ({error})"
        raise InputError(file, problem, "Export again") from error


def save(familiar: dict[str, Familiar], folder: Path, weights: str) -> None:
    """Write what is usual into an exported folder. weights: their mark."""
    from safetensors.numpy import save_file

    arrays = {
        f"{name}.{part}": np.ascontiguousarray(array, np.float32)
        for name, usual in familiar.items()
        for part, array in usual._asdict().items()
    }
    save_file(arrays, folder / FILE, {mark.KEY: weights})
