"""An uploaded file as an image, and the few that stay in memory for the next question."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from histopair import images
from serve.limits import Limits
from serve.refusals import Refusal, plain

BLOCK = 2**20  # bytes copied at a time
NAME = 80  # characters of a file's name that are shown


@dataclass(frozen=True)
class Upload:
    """An image (RGB), the name it came with, and the SHA-256 of its file.

    file: its file's name, where readers see another.
    """

    sha256: str
    name: str
    image: Image.Image
    file: str | None = None


def read(file: BinaryIO, name: str | None, folder: Path, limits: Limits) -> Upload:
    """Decode an uploaded file, by way of `folder`, where it lies only while it is decoded.

    Raises Refusal if it is empty, no image, damaged or larger than the limits.
    """
    shown = plain(Path(name or "").name, NAME) or "image"
    place = folder / "upload"
    try:
        digest = _copied(file, place)
        image = images.load(folder, place.name, limits.pixels, strips=True)  # regions have limits
    except images.Unreadable as error:
        remedy = "Give a whole image file, such as .png, .jpg or .tif"
        if "above the limit" in error.reason:
            remedy = "Cut it, or start the server with a larger --max-pixels"
        raise Refusal(422, shown, error.reason, remedy) from error
    finally:
        place.unlink(missing_ok=True)
    return Upload(digest, shown, image)


def _copied(file: BinaryIO, place: Path) -> str:
    digest = hashlib.sha256()
    with place.open("wb") as out:
        while block := file.read(BLOCK):
            digest.update(block)
            out.write(block)
    return digest.hexdigest()


class Shelf:
    """The last uploads by their SHA-256: at most `held`, and two of the largest images' pixels."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.uploads: OrderedDict[str, Upload] = OrderedDict()

    def add(self, upload: Upload) -> None:
        self.uploads[upload.sha256] = upload
        self.uploads.move_to_end(upload.sha256)
        while len(self.uploads) > self.limits.held or self._pixels() > 2 * self.limits.pixels:
            self.uploads.popitem(last=False)

    def get(self, sha256: str) -> Upload:
        """Raises Refusal (404) if the image is not there any more."""
        if sha256 not in self.uploads:
            problem = "the server has no such image, or has it no more"
            raise Refusal(404, "image_id", problem, "Send the image again")
        self.uploads.move_to_end(sha256)
        return self.uploads[sha256]

    def _pixels(self) -> int:
        return sum(one.image.width * one.image.height for one in self.uploads.values())
