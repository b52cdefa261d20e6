"""How much a server takes: bounds of an upload, an image, a note, and of what waits at once."""

from dataclasses import dataclass

from histopair import images

NOTE = 20_000  # characters: 4 pages, more than any text tower reads
WIDTH = 2048  # pixels of a view's longer side
FORM = 65_536  # bytes around the image: the other fields and their headers


@dataclass(frozen=True)
class Limits:
    """upload: bytes of an image file; pixels: of an image; places: requests at once."""

    upload: int = 200 * 2**20
    pixels: int = images.MAX_PIXELS
    places: int = 8
    held: int = 8  # images that stay in memory for the next question about them
