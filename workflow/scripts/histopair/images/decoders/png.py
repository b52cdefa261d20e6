"""PNG with 16 bits per sample. Pillow keeps the upper byte, so 12 bits in 16 would be black."""

import struct
from pathlib import Path

import numpy as np

from histopair.images.decoders import samples

MAGIC = b"\x89PNG\r\n\x1a\n"
HEADER = 29  # bytes up to the end of IHDR's fields


def is_deep(start: bytes) -> bool:
    """Whether a file that starts with these bytes is a PNG with 16 bits per sample."""
    return start.startswith(MAGIC) and len(start) > 24 and start[24] == 16


def size(start: bytes) -> tuple[int, int]:
    """Width and height."""
    return struct.unpack(">II", start[16:24])


def read(file: Path) -> np.ndarray:
    """uint8 samples (H, W, 1 to 4); the last of 2 or 4 is alpha.

    Raises samples.Refused for an animation or an unknown range, else whatever the decoder raises.
    """
    import imagecodecs

    data = file.read_bytes()
    chunks = _chunks(data)
    if b"acTL" in chunks:
        raise samples.Refused("it is an animation, not one image", "Save one image per file")
    values = np.atleast_3d(imagecodecs.png_decode(data))
    count = values.shape[-1] - 1 + values.shape[-1] % 2
    colours, alpha = values[..., :count], values[..., count:]
    limits = samples.span(colours, 16, _stated(chunks, colours))
    parts = [samples.eight_bits(colours, limits), samples.eight_bits(alpha, (0, 65535))]
    return np.concatenate(parts, axis=-1)


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks before the pixels."""
    chunks, place = {}, len(MAGIC)
    while place + 8 <= len(data) and b"IDAT" not in chunks:
        length, name = struct.unpack(">I4s", data[place : place + 8])
        chunks[name] = data[place + 8 : place + 8 + length]
        place += length + 12
    return chunks


def _stated(chunks: dict[bytes, bytes], values: np.ndarray) -> samples.Range | None:
    """The range by sBIT: 16 bits, scaled as the standard says, unless the values are unscaled.

    The standard's scaling leaves the lower bits of values below 2^n at 0.
    """
    bits = max(chunks.get(b"sBIT", b"\0"))
    if not 0 < bits < 16:
        return None
    unscaled = values.max() < 1 << bits and (values & ((1 << 16 - bits) - 1)).any()
    return (0, 2**bits - 1 if unscaled else 65535)
