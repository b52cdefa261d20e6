"""Answers to requests: all of them computed in one thread, one after the other."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fastapi import UploadFile

from histopair.export import preprocessing
from histopair.export.findings import USE, ranked
from histopair.export.read import Exported
from serve import exported, regions, uploads
from serve.limits import NOTE, Limits
from serve.refusals import Refusal
from serve.uploads import Upload


@dataclass(frozen=True)
class Question:
    """What a request asks: an image, sent or held, a note, a model and a region, each or none."""

    image: UploadFile | None = None
    image_id: str | None = None
    note: str | None = None
    model: str | None = None
    region: str | None = None


class Desk:
    """Models, the images that were sent last, and the thread that computes."""

    def __init__(self, models: dict[str, Exported], limits: Limits, folder: Path):
        self.models, self.limits, self.folder = models, limits, folder
        self.shelf = uploads.Shelf(limits)
        self.thread = ThreadPoolExecutor(1, "desk")

    async def compute(self, work: Callable, *arguments) -> object:
        """`work` of these arguments, in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, work, *arguments)

    def keep(self, file: UploadFile) -> dict:
        """Decode an image and hold it, so that views and answers need not send it again."""
        upload = uploads.read(file.file, file.filename, self.folder, self.limits)
        self.shelf.add(upload)
        return shown(upload)

    def view(self, image_id: str, region: str | None, width: int) -> bytes:
        """A JPEG of a region of a held image."""
        image = self.shelf.get(image_id).image
        return regions.picture(image, regions.of(region, image), width)

    def answer(self, question: Question) -> dict:
        """Ranked findings. Raises InputError for what the model cannot read."""
        start = time.perf_counter()
        name, model = exported.chosen(self.models, question.model)
        note = checked_note(model, question.note)
        upload = self._upload(question) if "image" in model.reads else None
        about = {"notice": USE, "model": exported.described(name, model)}
        about |= {"image": None, "region": None, "read": None}
        part = None
        if upload is not None:
            region = regions.of(question.region, upload.image)
            regions.check_shape(region)
            part = region.cut(upload.image)
            about |= placed(model, upload, region)
        values = exported.probabilities(name, model, part, note)
        about["findings"] = ranked(values, model.labels)
        about["abstains"] = exported.unlearnt(model)
        about["note_tokens_read"] = model.room(note) or None
        return about | {"seconds": round(time.perf_counter() - start, 3)}

    def _upload(self, question: Question) -> Upload:
        if question.image is not None:
            file = question.image
            return uploads.read(file.file, file.filename, self.folder, self.limits)
        if question.image_id is None:
            raise Refusal(422, "image", "this model reads an image, and there is none", "Send one")
        return self.shelf.get(question.image_id)


def shown(upload: Upload) -> dict:
    width, height = upload.image.size
    return {"image_id": upload.sha256, "name": upload.name, "width": width, "height": height}


def placed(model: Exported, upload: Upload, region: regions.Region) -> dict:
    """Which image, which region of it, and the frame in it that reaches the model."""
    steps = model.config["preprocessing"]
    left, top, width, height = preprocessing.frame(steps, region.width, region.height)
    frame = [region.x + left, region.y + top, width, height]
    return {"image": shown(upload), "region": list(region), "read": frame}


def checked_note(model: Exported, note: str | None) -> str:
    """The note without space around it. Raises Refusal if the model needs one, or reads none."""
    note = (note or "").strip()
    if len(note) > NOTE:
        problem = f"it has {len(note)} characters"
        raise Refusal(413, "note", problem, f"Shorten it to {NOTE}")
    if "text" in model.reads and not note:
        problem = "this model reads a note, and there is none"
        raise Refusal(422, "note", problem, "Write what is known of the image")
    if note and "text" not in model.reads:
        problem = "this model reads images alone, so a note would change nothing"
        raise Refusal(422, "note", problem, "Leave it out")
    return note
