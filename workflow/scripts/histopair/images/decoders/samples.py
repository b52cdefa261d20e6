"""From samples of any type to 8 bits: which values are black and white, or why nobody can tell.

Only the file can say which value is white. If it does not, an image that uses its type's whole
range is accepted, and a darker one is refused: 12 bits stored in 16 would give black tiles.
"""

import numpy as np

REMEDY = (
    "Save it with 8 bits per sample, or write its range into the file "
    "(TIFF: SMinSampleValue and SMaxSampleValue)"
)
Range = tuple[float, float]


class Refused(ValueError):
    """An intact file that cannot be read without guessing."""

    def __init__(self, reason: str, remedy: str = REMEDY):
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


def span(values: np.ndarray, bits: int, stated: Range | None = None) -> Range:
    """The values that are black and white, of samples with `bits` bits each.

    `stated` is the range that the file names. It counts unless samples lie beyond it, or it looks
    like the statistics of this image: TIFF's MinSampleValue and MaxSampleValue are used for both.
    Raises Refused for values that are not finite, and for an unknown range.
    """
    least, most = values.min(), values.max()
    if not (np.isfinite(least) and np.isfinite(most)):
        raise Refused("some of its values are NaN or infinite", "Repair or remove the image")
    fits = stated and stated[0] <= least and most <= stated[1]
    if fits and not _statistics(stated, least, most):
        return stated
    limits = _by_type(values, bits, least, most)
    if limits is None:
        what = _described(values, least, most)
        raise Refused(f"its range is unknown: {what}, and the file does not say which is white")
    return limits


def eight_bits(values: np.ndarray, limits: Range) -> np.ndarray:
    """Samples as uint8: limits[0] and below are 0, limits[1] and above 255, rounded to nearest."""
    if values.dtype == np.uint8 and limits == (0, 255):
        return values
    low, high = limits
    rounded = np.empty(values.shape, np.uint8)
    for row, part in enumerate(values):  # one at a time: large images would fill the memory
        shares = (part.astype(np.float64) - low) / (high - low)
        rounded[row] = np.rint(255 * np.clip(shares, 0, 1))
    return rounded


def _by_type(values: np.ndarray, bits: int, least: float, most: float) -> Range | None:
    """The range of unsigned integers is that of their bits, unless a quarter of it would do.

    Bits that are not whole bytes (12 packed ones) were chosen for the range. Floats are taken as
    0 to 1, or as bytes if they are whole; a quarter of that could be another range.
    """
    if values.dtype.kind in "bu":
        chosen = bits <= 8 or bits % 8
        return (0, 2**bits - 1) if chosen or most >= 2 ** (bits - 2) else None
    if values.dtype.kind != "f" or least < 0:
        return None
    if 0.25 <= most <= 1:
        return (0, 1)
    whole = 128 <= most <= 255 and bool((values == np.rint(values)).all())
    return (0, 255) if whole else None


def _described(values: np.ndarray, least: float, most: float) -> str:
    """The values in words that are the same for all images of a dataset."""
    if least < 0:
        return f"{values.dtype} values, some negative"
    if values.dtype.kind == "f":
        return f"{values.dtype} values {'up to 0.25' if most < 0.25 else 'beyond 1'}"
    return f"{values.dtype} values of {int(most).bit_length()} bits"


def _statistics(stated: Range, least: float, most: float) -> bool:
    """Whether an end of a stated range is just the image's own extreme, not a usual bound."""
    low, high = stated
    return low >= high or (high == most and not _bound(high)) or (low == least and not _bound(-low))


def _bound(value: float) -> bool:
    """Whether white (or, negated, black) could be this value: 0, 1, 2^n - 1 or 2^n."""
    whole = int(value) if value >= 0 and value == int(value) else None
    return whole is not None and (whole & (whole + 1) == 0 or whole & (whole - 1) == 0)
