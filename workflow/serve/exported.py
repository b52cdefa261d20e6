"""The exported models of a server, each with the name by which it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from histopair.errors import InputError
from histopair.export import fingerprint, read
from histopair.export.read import Exported
from histopair.export.second_read import evidence, trust
from histopair.export.second_read.evidence import Evidence
from histopair.export.second_read.trust import Trust
from serve.refusals import Refusal

BLANK = Image.new("RGB", (64, 64))


@dataclass
class Served:
    """A model, what its folder says about trust, and its bank of evidence, if they are there.

    fingerprint: of the folder when it was loaded; it may be written anew while it is served.
    """

    name: str
    model: Exported
    fingerprint: str
    trust: Trust | None = None
    evidence: Evidence | None = None

    @cached_property
    def described(self) -> dict:
        """What a page says of it: its run, what it reads, and how sure its probabilities are."""
        config = self.model.config
        keys = ("run", "task", "reads", "synthetic", "calibrated", "temperature")
        about = {key: config[key] for key in keys} | {"name": self.name, "input": None}
        about["temperature_at_bound"] = config.get("temperature_at_bound", False)
        if "image" in self.model.reads:
            about["input"] = list(self.model.pixels(BLANK).shape[:0:-1])
        about["evidence"] = self.evidence is not None
        return about | {"labels": [_named(label) for label in self.model.labels]}

    @property
    def unlearnt(self) -> list[dict]:
        """Labels of which the model saw no training sample: it cannot tell them."""
        return [_named(row) for row in self.model.labels if row.get("train_samples", 1) == 0]


def _named(row: dict) -> dict:
    return {key: row[key] for key in ("label", "name")}


def load(folders: Sequence[str | Path]) -> dict[str, Served]:
    """Models by name, dataset/encoder/method/seed.

    Raises InputError for a folder that is no export, and for two with one name.
    """
    models: dict[str, Served] = {}
    for folder in folders:
        model = read.load(folder)
        name = "{dataset}/{encoder}/{method}/{seed}".format(**model.config["run"])
        if name in models:
            problem = f"another export is named {name}, too"
            raise InputError(folder, problem, "Serve them one at a time")
        mark = fingerprint.of_export(model.folder)
        models[name] = Served(name, model, mark, trust.load(model), evidence.load(model))
    return models


def chosen(models: dict[str, Served], name: str | None) -> Served:
    """The model of a name; the first one without a name."""
    name = name or next(iter(models))
    if name not in models:
        raise Refusal(422, "model", f"there is no {name[:100]!r}", f"Choose {', '.join(models)}")
    return models[name]
