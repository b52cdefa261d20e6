"""Images from files and HDF5 arrays: always RGB, never outside their root, never a bomb."""

import hashlib
import math
import os
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from histopair.errors import InputError

MAX_PIXELS = 100_000_000
ARRAY_KEY = "x"
Image.MAX_IMAGE_PIXELS = None  # open_rgb() has its own limit, checked before pixels are decoded

# What Pillow raises for damaged files, by format.
DAMAGE = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError)
DAMAGE += (OverflowError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError)

_open = threading.local()


class Unreadable(InputError):
    """One image cannot be used; cleaning quarantines it with `reason` and goes on."""

    def __init__(self, path: str, reason: str, remedy: str):
        super().__init__(path, reason, remedy)
        self.reason = reason


def load(root: str | Path, path: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Load one image as RGB.

    `path` is relative to `root`: a file, or "file.h5#17" for row 17 of the file's array `x`.
    Raises InputError where the path leaves the root, Unreadable (an InputError) where the image
    is missing, damaged, truncated or above `max_pixels`.
    """
    file, index = locate(root, path)
    if index is not None:
        return Image.fromarray(pixels(file, path, index, max_pixels))
    try:
        with Image.open(file) as image:
            _limit(path, image.width, image.height, max_pixels)
            image.load()  # the first page, where there are several
            return _rgb(image)
    except FileNotFoundError as error:
        raise Unreadable(path, "there is no such file", "Restore it or remove its row") from error
    except DAMAGE as error:
        raise Unreadable(path, f"unreadable ({said(error)})", "Replace the file") from error


def digest(root: str | Path, path: str) -> str:
    """SHA-256 of the file's bytes; of the pixels' bytes for a row of an array."""
    file, index = locate(root, path)
    if index is not None:
        return hashlib.sha256(pixels(file, path, index).tobytes()).hexdigest()
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def locate(root: str | Path, path: str) -> tuple[Path, int | None]:
    """The file of a path, and the row for "file.h5#17"; InputError outside the root."""
    name, mark, index = path.rpartition("#")
    array = bool(mark) and name.endswith((".h5", ".hdf5")) and index.isdigit()
    file = Path(root, name if array else path)
    top = os.path.realpath(root)
    real = os.path.realpath(file)
    if os.path.commonpath([top, real]) != top:
        raise InputError(
            path,
            f"the image lies outside its dataset's root {root}",
            "Put it inside, or name a root that holds it",
        )
    return file, int(index) if array else None


def pixels(file: Path, path: str, index: int | slice, max_pixels: float = math.inf) -> np.ndarray:
    """uint8 pixels (H, W, 3) of a row, (n, H, W, 3) of a slice; Unreadable as for `load`."""
    try:
        array = _array(file)
        last = index.stop - 1 if isinstance(index, slice) else index
        if last >= len(array):
            raise IndexError(f"row {last} of {len(array)}")
        if array.ndim == 4:
            _limit(path, array.shape[2], array.shape[1], max_pixels)
        pixels = array[index]
        if pixels.dtype != np.uint8 or pixels.shape[-1] != 3:
            raise ValueError(f"{pixels.dtype} of shape {pixels.shape}, not uint8 RGB")
        return pixels
    except FileNotFoundError as error:
        raise Unreadable(path, "there is no such file", "Restore it") from error
    except (*DAMAGE, RuntimeError) as error:
        raise Unreadable(path, f"unreadable ({said(error)})", "Replace the file") from error


def _limit(path: str, width: int, height: int, max_pixels: float) -> None:
    if width * height > max_pixels:
        raise Unreadable(
            path,
            f"{width} x {height} pixels are above the limit of {max_pixels}",
            "Cut it into tiles, or raise `max_pixels`",
        )


def _array(file: Path):
    """The open array of an HDF5 file, kept per thread and process: handles survive no fork."""
    import h5py

    arrays = _open.__dict__.setdefault(os.getpid(), {})
    key = str(file)
    if key not in arrays:
        while len(arrays) >= 8:
            arrays.pop(next(iter(arrays))).file.close()
        # 64 MiB of chunks: neighbouring rows share chunks, which must not be unpacked per row.
        arrays[key] = h5py.File(file, "r", rdcc_nbytes=64 << 20, rdcc_nslots=10_007)[ARRAY_KEY]
    return arrays[key]


def _rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of any mode: transparency over white (glass), deeper integers by their range."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        glass = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(glass, image).convert("RGB")
    return image.convert("RGB")


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Grey values as 0..255: integers are taken for 16-bit, floats for 0..1 unless above 1."""
    if values.dtype.kind == "f":
        values = np.nan_to_num(values) * (255 if np.nanmax(values, initial=0) <= 1 else 1)
    else:
        values = values / 257
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def said(error: Exception) -> str:
    """The error in a few words, without the absolute path that Pillow and the system add."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text[:160]
