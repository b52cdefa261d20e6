"""JPEG 2000 with more than 8 bits per sample; Pillow would keep only the upper 8."""

import struct
from pathlib import Path

import numpy as np

from histopair.images.decoders import samples

MAGICS = (b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
SIZES = b"\xff\x4f\xff\x51"  # start of codestream, then the marker SIZ (ISO/IEC 15444-1, A.5.1)


def is_one(start: bytes) -> bool:
    """Whether a file that starts with these bytes is JPEG 2000."""
    return start.startswith(MAGICS)


def bits(file: Path) -> int:
    """Bits per sample of the first component, negative if they are signed.

    Raises ValueError if the file has no codestream.
    """
    depth = _sizes(file)[38:39]
    if not depth:
        raise ValueError("no codestream")
    return ((depth[0] & 127) + 1) * (-1 if depth[0] & 128 else 1)


def size(file: Path) -> tuple[int, int]:
    """Width and height."""
    right, bottom, left, top = struct.unpack(">4I", _sizes(file)[4:20])
    return right - left, bottom - top


def read(file: Path) -> np.ndarray:
    """uint8 samples (H, W, 1 or 3).

    Raises samples.Refused for an unknown range and other numbers of components.
    """
    import imagecodecs

    depth = bits(file)
    values = np.atleast_3d(imagecodecs.jpeg2k_decode(file.read_bytes()))
    if values.shape[-1] not in (1, 3):
        reason = f"it has {values.shape[-1]} components of {abs(depth)} bits"
        raise samples.Refused(reason, "Save it as grey or RGB with 8 bits per sample")
    return samples.eight_bits(values, samples.span(values, abs(depth)))


def _sizes(file: Path) -> bytes:
    """The segment SIZ, from its length on."""
    with file.open("rb") as stream:
        start = stream.read(1 << 16)
    return start[start.find(SIZES) + 4 :] if SIZES in start else b""
