"""The part of an image that a model reads, or that a page shows."""

import io
import re
from typing import NamedTuple

from PIL import Image

from histopair.images import MAX_RATIO, is_strip
from serve.limits import WIDTH
from serve.refusals import Refusal

PATTERN = r"^\d{1,9},\d{1,9},\d{1,9},\d{1,9}$"
QUALITY = 90  # of the JPEG that a page shows; models read the pixels themselves


class Region(NamedTuple):
    """Left and top, width and height, in pixels of the image."""

    x: int
    y: int
    width: int
    height: int

    def cut(self, image: Image.Image) -> Image.Image:
        return image.crop((self.x, self.y, self.x + self.width, self.y + self.height))


def of(text: str | None, image: Image.Image) -> Region:
    """The region "x,y,width,height", or the whole image. Raises Refusal if it is not inside."""
    if not text:
        return Region(0, 0, *image.size)
    if not re.fullmatch(PATTERN, text, re.ASCII):
        remedy = "Write x,y,width,height in pixels of the image"
        raise Refusal(422, "region", f"{text[:40]!r} is no region", remedy)
    region = Region(*map(int, text.split(",")))
    right, bottom = region.x + region.width, region.y + region.height
    if right > image.width or bottom > image.height or 0 in (region.width, region.height):
        problem = f"{text} is empty or not inside the image"
        remedy = f"The image has {image.width} x {image.height} pixels"
        raise Refusal(422, "region", problem, remedy)
    return region


def check_shape(region: Region) -> None:
    """Refuse a region so narrow that a tower's input would be huge."""
    if is_strip(region.width, region.height):
        problem = f"{region.width} x {region.height} pixels are too narrow a strip"
        raise Refusal(422, "region", problem, f"Choose sides of 1:{MAX_RATIO} at most")


def picture(image: Image.Image, region: Region, width: int) -> bytes:
    """A JPEG of a region, its longer side `width` pixels at most and never enlarged."""
    scale = min(1.0, min(width, WIDTH) / max(region.width, region.height))
    size = max(1, round(region.width * scale)), max(1, round(region.height * scale))
    box = (region.x, region.y, region.x + region.width, region.y + region.height)
    shown = image.resize(size, Image.Resampling.BOX, box, reducing_gap=2.0)
    out = io.BytesIO()
    shown.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
