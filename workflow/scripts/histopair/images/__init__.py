"""Images from files and HDF5 arrays: always RGB, never outside their root, never a bomb or strip.

A strip is refused because preparation makes its shorter side that of the encoder's input: a line of
1 x 100,000 pixels would become 224 x 22,400,000.
"""

import hashlib
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from histopair import jobs
from histopair.errors import InputError
from histopair.files import hdf5
from histopair.images.decoders import jpeg2000, png, samples, tiff

MAX_PIXELS = 100_000_000
MAX_RATIO = 20  # longer to shorter side; of a longer one a square input shows less than a twentieth
ARRAY_KEY = "x"
Image.MAX_IMAGE_PIXELS = None  # _limit() has its own limit, checked before pixels are decoded

# Formats that are read. For others Pillow starts a program (EPS) or ignores the range (FITS).
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000", "AVIF", "TGA")
# In these formats every frame is an image. In a JPEG (MPO) the other frames are previews.
ANIMATED = ("PNG", "GIF", "WEBP", "AVIF")

REPLACED = (
    "it is no longer the image that cleaning read",
    "`snakemake --cores all --forcerun clean_labels` reads all images again",
)

_open = threading.local()


class Unreadable(InputError):
    """One image that cannot be used; cleaning quarantines it with `reason` and `remedy`."""

    def __init__(self, path: str, reason: str, remedy: str):
        super().__init__(path, reason, remedy)
        self.reason, self.remedy = reason, remedy


def load(
    root: str | Path, path: str, max_pixels: int = MAX_PIXELS, strips: bool = False
) -> Image.Image:
    """Load one image as RGB.

    `path` is relative to `root`: a file, or "file.h5#17" for row 17 of the file's array `x`.
    Raises InputError if the path leaves the root, Unreadable (an InputError) if the image is
    missing, damaged, truncated, above `max_pixels` or, unless `strips`, one of these (`is_strip`).
    """
    file, index = locate(root, path)
    if index is not None:
        return Image.fromarray(array_pixels(file, path, index, max_pixels, strips))
    with _as_unreadable(path, "Restore it or remove its row"):
        return _decoded(file, lambda width, height: _limit(path, width, height, max_pixels, strips))


def is_strip(width: int, height: int) -> bool:
    """Whether an image is too narrow to be prepared for an encoder."""
    return max(width, height) > MAX_RATIO * min(width, height)


@contextmanager
def _as_unreadable(path: str, absent: str) -> Iterator[None]:
    """Raise a decoder's errors as Unreadable; `absent` is the remedy for a missing file."""
    try:
        yield
    except InputError:
        raise
    except samples.Refused as error:
        raise Unreadable(path, error.reason, error.remedy) from error
    except FileNotFoundError as error:
        raise Unreadable(path, "there is no such file", absent) from error
    except Exception as error:  # decoders, HDF5 and its filters raise anything for a damaged file
        raise Unreadable(path, f"unreadable ({cause(error)})", "Replace the file") from error


def _decoded(file: Path, limit: Callable[[int, int], None]) -> Image.Image:
    """The image as RGB; `limit` gets width and height before pixels are decoded."""
    with file.open("rb") as stream:
        start = stream.read(png.HEADER)
    if tiff.is_one(start):
        read = tiff.read(file, limit)
        if read is not None:
            return _opaque(*read)
    elif png.is_deep(start):
        limit(*png.size(start))
        return _opaque(png.read(file))
    elif jpeg2000.is_one(start) and not 0 < jpeg2000.bits(file) <= 8:
        limit(*jpeg2000.size(file))
        return _opaque(jpeg2000.read(file))
    with Image.open(file, formats=FORMATS) as image:
        limit(image.width, image.height)
        if image.format in ANIMATED and getattr(image, "n_frames", 1) > 1:
            raise samples.Refused("it is an animation, not one image", "Save one image per file")
        if image.format == "PPM":
            _refuse_deep_colours(image)
        image.load()
        return _rgb(image)


def _refuse_deep_colours(image: Image.Image) -> None:
    """PPM with more than 8 bits: Pillow keeps 8 of them, whatever the range of the values."""
    numbers = [part for part in np.atleast_1d(image.tile[0].args) if str(part).isdigit()]
    if image.mode == "RGB" and any(int(number) > 255 for number in numbers):
        raise samples.Refused("its colours have 16 bits")


def _opaque(values: np.ndarray, multiplied: bool = False) -> Image.Image:
    """RGB from uint8 samples (H, W, 1 to 4); the last of 2 or 4 is alpha."""
    colours, alpha = values[..., : 3 - 2 * (values.shape[-1] < 3)], values[..., -1:]
    colours = np.broadcast_to(colours, (*colours.shape[:2], 3))
    if values.shape[-1] % 2:
        return Image.fromarray(np.ascontiguousarray(colours))
    size = values.shape[1::-1]
    data = np.concatenate([colours, alpha], axis=-1).tobytes()
    return _rgb(Image.frombytes("RGBa" if multiplied else "RGBA", size, data))


def digest(root: str | Path, path: str) -> str:
    """SHA-256 of the file's bytes; of the pixels' bytes for a row of an array."""
    file, index = locate(root, path)
    if index is not None:
        return hashlib.sha256(array_pixels(file, path, index).tobytes()).hexdigest()
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def unchanged(root: str | Path, paths: Iterable[str], digests: Iterable[str]) -> Iterator[None]:
    """Compute from images, and read them again beside it: no GPU waits for the check.

    Raises InputError for the first image whose bytes are not those of its digest, also where the
    block failed because of it.
    """
    paths = list(paths)
    with ThreadPoolExecutor(jobs.threads()) as pool:
        found = pool.map(partial(_digest_if_there, root), paths)
        try:
            yield
        finally:
            alike = [now == then for now, then in zip(found, digests, strict=True)]
            if not all(alike):
                raise InputError(Path(root, paths[alike.index(False)]), *REPLACED)


def _digest_if_there(root: str | Path, path: str) -> str | None:
    with suppress(OSError):
        return digest(root, path)


def locate(root: str | Path, path: str) -> tuple[Path, int | None]:
    """The file of a path, and the row for "file.h5#17"; InputError outside the root."""
    name, mark, index = path.rpartition("#")
    array = bool(mark) and name.endswith((".h5", ".hdf5")) and index.isdecimal()
    file = Path(root, name if array else path)
    top = os.path.realpath(root)
    real = os.path.realpath(file)
    if os.path.commonpath([top, real]) != top:
        problem = f"the image lies outside its dataset's root {root}"
        raise InputError(path, problem, "Put it inside, or name a root that contains it")
    return file, int(index) if array else None


def array_pixels(
    file: Path,
    path: str,
    index: int | slice,
    max_pixels: float = math.inf,
    strips: bool = False,
) -> np.ndarray:
    """uint8 pixels (H, W, 3) of a row, (n, H, W, 3) of a slice; Unreadable as for `load`."""
    with _as_unreadable(path, "Restore it"):
        array = _array(file)
        last = index.stop - 1 if isinstance(index, slice) else index
        if last >= len(array):
            raise IndexError(f"row {last} of {len(array)}")
        if array.ndim == 4:
            _limit(path, array.shape[2], array.shape[1], max_pixels, strips)
        pixels = array[index]
        if pixels.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3:
            raise samples.Refused(
                f"an array of {pixels.dtype} of shape {array.shape}, not uint8 RGB",
                "Store it as uint8, 0 to 255, of shape (images, height, width, 3)",
            )
        return pixels


def _limit(path: str, width: int, height: int, max_pixels: float, strips: bool) -> None:
    if width * height > max_pixels:
        problem = f"{width} x {height} pixels are above the limit of {max_pixels}"
        raise Unreadable(path, problem, "Cut it into tiles, or raise `max_pixels`")
    if not strips and is_strip(width, height):
        problem = f"{width} x {height} pixels are too narrow a strip"
        raise Unreadable(path, problem, f"Cut it into tiles of sides of 1:{MAX_RATIO} at most")


def _array(file: Path):
    """The open array of an HDF5 file, kept per thread and process: a fork breaks handles."""
    import h5py

    arrays = _open.__dict__.setdefault(os.getpid(), {})
    key = str(file)
    if key not in arrays:
        while len(arrays) >= 8:
            arrays.pop(next(iter(arrays))).file.close()
        # 64 MiB of chunks: neighbouring rows share chunks, which should be unpacked only once.
        opened = h5py.File(file, "r", rdcc_nbytes=64 << 20, rdcc_nslots=10_007)
        array = opened[ARRAY_KEY]
        if hdf5.elsewhere(opened, array):
            raise samples.Refused("its pixels lie in another file", "Copy them into this one")
        arrays[key] = array
    return arrays[key]


def _rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB from any mode: transparency over white (glass), PGM's 16 bits by their range."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode.startswith("I"):  # PGM, scaled by Pillow from the file's largest value to 65535
        values = np.atleast_3d(np.asarray(image)).astype(np.uint16)
        return _opaque(samples.eight_bits(values, samples.span(values, 16)))
    if image.mode == "F":
        raise samples.Refused("its values are floats of unknown range")
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        glass = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(glass, image).convert("RGB")
    return image.convert("RGB")


def cause(error: Exception) -> str:
    """The error in a few words, without the absolute path that Pillow and the system add."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text[:160]
