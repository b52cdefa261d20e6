"""Answers to requests: all of them computed in one thread, one after the other."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastapi import UploadFile

from serve import cases, exported, kept_answers, regions, replies, uploads
from serve.cases import Case, Question
from serve.exported import Served
from serve.limits import Limits
from serve.reading_list import ReadingList
from serve.refusals import Refusal
from serve.uploads import Upload


class Desk:
    """Models, the images that were sent last, and the thread that computes.

    folder: where uploads lie while they are decoded; answers: the csv of readers' answers;
    samples: a queue for readers, if there is one.
    """

    def __init__(
        self,
        models: dict[str, Served],
        limits: Limits,
        folder: Path,
        answers: Path,
        samples: ReadingList | None = None,
    ):
        self.models, self.limits, self.folder = models, limits, folder
        self.answers, self.samples = answers, samples
        self.shelf = uploads.Shelf(limits)
        self.thread = ThreadPoolExecutor(1, "desk")

    async def compute(self, work: Callable, *arguments) -> object:
        """`work` of these arguments, in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, work, *arguments)

    def keep(self, file: UploadFile) -> dict:
        """Decode an image and hold it, so that views and answers need not send it again."""
        upload = uploads.read(file.file, file.filename, self.folder, self.limits)
        self.shelf.add(upload)
        return replies.shown(upload)

    def view(self, image_id: str, region: str | None, width: int) -> bytes:
        """A JPEG of a region of a held image."""
        image = self.shelf.get(image_id).image
        return regions.picture(image, regions.of(region, image), width)

    def answer(self, question: Question) -> dict:
        """Ranked findings, and the seconds that they took."""
        start = time.perf_counter()
        reply = replies.answer(self.case(question))
        return reply | {"seconds": round(time.perf_counter() - start, 3)}

    def saliency(self, question: Question, finding: str | None) -> dict:
        return replies.saliency_map(self.case(question), finding)

    def words(self, question: Question) -> dict:
        return replies.important_words(self.case(question))

    def evidence(self, question: Question) -> dict:
        """A queued sample is not its own evidence: the label would stand beside it."""
        case = self.case(question)
        queued = self.samples and case.upload and self.samples.paths_of(case.upload.sha256)
        return replies.nearest(case, queued or ())

    def queue(self) -> list[dict]:
        """The samples of the queue, none without one."""
        return self.samples.listed(self.answers) if self.samples else []

    def take(self, rank: int) -> dict:
        """Hold the image of a queued sample, as if it had been sent."""
        if self.samples is None:
            raise Refusal(404, "queue", "there is none", "Start the server with --queue FILE")
        upload = self.samples.take(rank, self.limits.pixels)
        self.shelf.add(upload)
        return replies.shown(upload)

    def keep_answer(self, question: Question, reader: str, labels: list[str]) -> dict:
        return kept_answers.keep(self.case(question), reader, labels, self.answers)

    def case(self, question: Question) -> Case:
        """What the model reads. Raises InputError for what it cannot read."""
        served = exported.chosen(self.models, question.model)
        note = cases.checked_note(served, question.note)
        if "image" not in served.model.reads:
            return Case(served, None, None, note)
        upload = self._upload(question)
        region = regions.of(question.region, upload.image)
        regions.check_shape(region)
        return Case(served, upload, region, note)

    def _upload(self, question: Question) -> Upload:
        if question.image is not None:
            file = question.image
            return uploads.read(file.file, file.filename, self.folder, self.limits)
        if question.image_id is None:
            raise Refusal(422, "image", "this model reads an image, and there is none", "Send one")
        return self.shelf.get(question.image_id)
