"""What a request asks, and what a model reads of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from fastapi import UploadFile

from histopair.export import preprocessing
from serve.exported import Served
from serve.limits import NOTE
from serve.refusals import Refusal
from serve.regions import Region
from serve.uploads import Upload


class Question(NamedTuple):
    """The fields of a request: an image, sent or held, a note, a model and a region, or none."""

    image: UploadFile | None = None
    image_id: str | None = None
    note: str | None = None
    model: str | None = None
    region: str | None = None


@dataclass
class Case:
    """A region of an image, a note, or both, before a model. What it does not read is None."""

    served: Served
    upload: Upload | None
    region: Region | None
    note: str | None

    @cached_property
    def pixels(self) -> np.ndarray | None:
        """What the model reads of the image, (3, h, w)."""
        if self.upload is None:
            return None
        return self.served.model.pixels(self.region.cut(self.upload.image))

    @property
    def frame(self) -> list[float] | None:
        """Where in the image that is: left, top, width, height in its pixels."""
        if self.region is None:
            return None
        steps = self.served.model.config["preprocessing"]
        left, top, *size = preprocessing.frame(steps, self.region.width, self.region.height)
        return [self.region.x + left, self.region.y + top, *size]

    @cached_property
    def passed(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Calibrated probabilities (C,) and the image's features (d,), from one pass."""
        model = self.served.model
        batch = None if self.pixels is None else self.pixels[None]
        logits, features = model.answer(batch, None if self.note is None else [self.note])
        return model.probabilities_of(logits)[0], None if features is None else features[0]

    @property
    def features(self) -> dict[str, np.ndarray]:
        """What the towers make of the image and of the note, (d,) each, by tower."""
        named = {"image": self.passed[1], "text": None}
        if self.note is not None:
            from histopair.export.answer import tokens_of

            model = self.served.model.predictor
            named["text"] = model.text(tokens_of(model, [self.note])).numpy(force=True)[0]
        return {name: vector for name, vector in named.items() if vector is not None}

    @property
    def probabilities(self) -> np.ndarray:
        return self.passed[0]


def checked_note(served: Served, note: str | None) -> str | None:
    """The note without space around it. Raises Refusal if the model needs one, or reads none."""
    note, reads = (note or "").strip(), "text" in served.model.reads
    if len(note) > NOTE:
        problem = f"it has {len(note)} characters"
        raise Refusal(413, "note", problem, f"Shorten it to {NOTE}")
    if reads and not note:
        problem = "this model reads a note, and there is none"
        raise Refusal(422, "note", problem, "Write what is known of the image")
    if note and not reads:
        problem = "this model reads images alone, so a note would change nothing"
        raise Refusal(422, "note", problem, "Leave it out")
    return note if reads else None


def place(served: Served, label: str | None) -> int:
    """A finding's place among the classes. Raises Refusal for one that the model does not have."""
    labels = [row["label"] for row in served.model.labels]
    if label not in labels:
        problem = f"{(label or '')[:100]!r} is none of the model's"
        raise Refusal(422, "finding", problem, "See the labels of /api/models")
    return labels.index(label)
