"""TIFF: grey and RGB of any sample type, layout and compression, if the file says what they are.

tifffile reads them. Pillow reads palettes, bilevel images and other colour spaces, at 8 bits.
"""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from histopair.images.decoders import samples
from histopair.images.decoders.samples import Refused

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
PREMULTIPLIED, STRAIGHT = 1, 2  # kinds of alpha in ExtraSamples
TURNS = {  # what brings an image of each Orientation upright
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image),
}
ONE = "Save one image per file, with 8 bits per sample"
COLOURS = "Save one RGB page per file, or name the channels in its metadata (OME or ImageJ)"

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # damage is an exception or harmless


def is_one(start: bytes) -> bool:
    """Whether a file that starts with these bytes is a TIFF."""
    return start.startswith(MAGICS)


def read(file: Path, limit: Callable[[int, int], None]) -> tuple[np.ndarray, bool] | None:
    """uint8 samples (H, W, 1 to 4); the last of 2 or 4 is alpha; and whether it is multiplied.

    None if Pillow reads the file correctly. `limit` gets width and height before pixels are
    decoded. Raises Refused if the file does not hold exactly one image, or does not say its colours
    or its range; for damage, whatever the decoder raises.
    """
    import tifffile

    with tifffile.TiffFile(file, _multifile=False) as tiff:
        series, page = _series(tiff), tiff.series[0].keyframe
        limit(page.imagewidth, page.imagelength)
        planes = series.size // (page.imagewidth * page.imagelength * page.samplesperpixel)
        if _is_for_pillow(page, planes):
            return None
        colours = _colours(tiff, series, page, planes)
        values = series.asarray(maxworkers=1).reshape(-1, *page.shaped)
        values = np.moveaxis(values, (0, 1), (-3, -2)).reshape(*page.shaped[2:4], -1)
        alpha = _alpha(page, values.shape[-1], colours)
        values = values[..., : colours + bool(alpha)]
        return _upright(page, _eight_bits(tiff, page, values, colours)), alpha == PREMULTIPLIED


def _series(tiff):
    """The one image of the file, beside which there may be reduced copies and masks."""
    first, *others = tiff.series
    pages = [page for series in others for page in series.pages if page is not None]
    more = [page for page in pages if not (page.keyframe.is_reduced or page.keyframe.is_mask)]
    if more and not tiff.is_svs:
        raise Refused(f"it holds {1 + len(more)} images or more, of several sizes or kinds", ONE)
    if first.keyframe.is_reduced:
        raise Refused("its first page is only a reduced copy", ONE)
    if any(page is None or not all(page.databytecounts) for page in first.pages):
        raise Refused("part of its pixels is not in the file", "Replace the file")
    return first


def _is_for_pillow(page, planes: int) -> bool:
    """Whether Pillow converts its colour space and reads this form of it correctly."""
    if page.bitspersample == 1 and page.samplesperpixel == 1 and planes == 1:
        return True
    if page.photometric not in (PALETTE, CMYK, YCBCR, LAB):
        return False
    name = page.photometric.name
    if planes > 1:
        raise Refused(f"it holds {planes} images in {name}", ONE)
    if page.bitspersample > 8 or page.sampleformat not in (1, 4):
        raise Refused(f"it has {page.dtype} samples in {name}", ONE)
    if page.photometric == PALETTE and np.max(page.colormap) < 256:
        raise Refused("its palette is nearly black: 8 bits stored as 16", ONE)
    return True


def _colours(tiff, series, page, planes: int) -> int:
    """How many samples of a pixel are colours: 1 or 3; Refused if the file does not say."""
    count = page.samplesperpixel
    if page.dtype is None or page.dtype.kind not in "buif":
        raise Refused("its samples are neither integers nor floats", ONE)
    if page.photometric == RGB and planes == 1 and 3 <= count <= 5:
        return 3
    if page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO):
        if planes == 1 and (count == 1 or (count == 2 and _alpha(page, 2, 1))):
            return 1
        if planes == 3 and count == 1 and _channels(tiff, series):
            return 3
    raise Refused(_not_one_image(planes, count, page.photometric), COLOURS)


def _not_one_image(planes: int, count: int, photometric) -> str:
    if planes > 1 and (planes, count) != (3, 1):
        return f"it holds {planes} images, not one"
    what = "3 grey pages" if planes == 3 else f"{count} samples per pixel"
    kind = getattr(photometric, "name", photometric)
    return f"it holds {what} ({kind}) but does not say that they are red, green and blue"


def _channels(tiff, series) -> bool:
    """Whether metadata calls the three pages channels, and nothing names other colours."""
    sizes = zip(series.axes, series.shape, strict=True)
    planes = "".join(axis for axis, size in sizes if axis not in "YXS" and size > 1)
    if planes != "C":
        return False
    tables = (tiff.imagej_metadata or {}).get("LUTs") or []
    if any(table[i].max() == 0 for i, table in enumerate(tables)):
        return False
    tags = re.findall(r"<(?:\w+:)?Channel\b[^>]*>", tiff.ome_metadata or "")
    return all(_is_colour(tag, i) for i, tag in enumerate(tags[:3]))


def _is_colour(tag: str, number: int) -> bool:
    """Whether an OME channel can be red, green or blue (0, 1, 2) by its name and colour."""
    name = re.search(r'\bName="([^"]*)"', tag)
    allowed = ("", "rgb"[number], ("red", "green", "blue")[number])
    if name and name[1].strip().lower() not in allowed:
        return False
    colour = re.search(r'\bColor="(-?\d+)"', tag)
    parts = (int(colour[1]) & 0xFFFFFFFF).to_bytes(4, "big")[:3] if colour else (0, 0, 0)
    return parts[number] == max(parts)


def _alpha(page, count: int, colours: int) -> int:
    """The kind of alpha that follows the colours; 0 for none, or if the file does not name it."""
    extra = tuple(page.extrasamples)[:1] if count > colours else ()
    return int(extra[0]) if extra and extra[0] in (PREMULTIPLIED, STRAIGHT) else 0


def _eight_bits(tiff, page, values: np.ndarray, colours: int) -> np.ndarray:
    bits = page.bitspersample
    limits = samples.span(values[..., :colours], bits, _stated(tiff, page))
    shades = samples.eight_bits(values[..., :colours], limits)
    if page.photometric == WHITE_IS_ZERO:
        shades = 255 - shades
    opaque = limits[1] if values.dtype.kind == "f" or page.dtype.kind == "i" else 2**bits - 1
    alpha = samples.eight_bits(values[..., colours:], (0, opaque))
    return np.concatenate([shades, alpha], axis=-1)


def _stated(tiff, page) -> samples.Range | None:
    """The range given by tags, OME's SignificantBits or ImageJ's display, in this order."""
    for low, high in ((340, 341), (280, 281)):
        if high in page.tags:
            lowest = np.min(_numbers(page, low)) if low in page.tags else 0
            return float(lowest), float(np.max(_numbers(page, high)))
    bits = re.search(r'\bSignificantBits="(\d+)"', tiff.ome_metadata or "")
    if bits and page.dtype.kind == "u":
        return 0.0, 2.0 ** int(bits[1]) - 1
    shown = tiff.imagej_metadata or {}
    ends = shown.get("Ranges") or (shown.get("min"), shown.get("max"))
    return None if None in ends else (float(min(ends)), float(max(ends)))


def _numbers(page, code: int):
    """The value of a tag, one number per sample; tifffile gives those of type BYTE as bytes."""
    value = page.tags[code].value
    return list(value) if isinstance(value, bytes) else value


def _upright(page, image: np.ndarray) -> np.ndarray:
    """The image turned by the tag Orientation, as Pillow turns TIFFs."""
    orientation = page.tags.valueof(274, 1)
    return TURNS.get(orientation, lambda image: image)(image)
