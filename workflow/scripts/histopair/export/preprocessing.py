"""Preprocessing of images as data: taken from a library's transform, applied without torch."""

from collections.abc import Callable

import numpy as np
from PIL import Image

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
RESIZES = ("resize", "resize_keep_ratio")


def describe(transform: Callable) -> list[dict]:
    """The steps of a timm, torchvision or open_clip transform, as `apply` takes them.

    Raises ValueError for a step that `apply` does not know.
    """
    steps = [step for part in transform.transforms for step in _step(part)]
    for step in steps:
        if step.get("filter", "bicubic") not in FILTERS:
            raise ValueError(f"the filter {step['filter']} of {step['step']} is not known")
    return steps


def _step(part: Callable) -> list[dict]:
    kind = type(part).__name__
    if kind == "Resize":
        if part.max_size is not None:
            raise ValueError("preprocessing step Resize has a max_size")
        size = part.size if isinstance(part.size, int) else list(part.size)
        size = size[0] if isinstance(size, list) and len(size) == 1 else size
        return [{"step": "resize", "size": size, "filter": part.interpolation.value}]
    if kind == "ResizeKeepRatio":
        shape = {"size": list(part.size), "longest": part.longest}
        return [{"step": "resize_keep_ratio", **shape, "filter": part.interpolation.value}]
    if kind in ("CenterCrop", "CenterCropOrPad"):
        fill = getattr(part, "fill", 0)
        fill = [fill] * 3 if isinstance(fill, int) else list(fill)
        return [{"step": "centre_crop", "size": list(part.size), "fill": fill}]
    if kind == "Normalize":
        mean, std = ([float(value) for value in values] for values in (part.mean, part.std))
        return [{"step": "normalise", "mean": mean, "std": std}]
    without_effect = ("ToTensor", "MaybeToTensor", "MaybeConvertMode")  # apply() makes RGB an array
    if kind in without_effect or getattr(part, "__name__", "") == "_convert_to_rgb":
        return []
    raise ValueError(f"preprocessing step {kind} cannot be written down")


def apply(steps: list[dict], image: Image.Image) -> np.ndarray:
    """Pixels (3, h, w), float32, of an RGB image."""
    for step in steps:
        if step["step"] in RESIZES:
            image = image.resize(_resized(step, *image.size), FILTERS[step["filter"]])
        elif step["step"] == "centre_crop":
            image = _centre_crop(image, step["size"], step["fill"])
    pixels = np.asarray(image, np.float32) / np.float32(255)
    for step in steps:
        if step["step"] == "normalise":
            mean, std = (np.array(step[key], np.float32) for key in ("mean", "std"))
            pixels = (pixels - mean) / std
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def frame(steps: list[dict], width: int, height: int) -> tuple[float, float, float, float]:
    """What `apply` keeps of an image of this size: left, top, width and height in its pixels.

    Where it adds a border, the frame is larger than the image and left or top is negative.
    """
    left, top, across, down = 0.0, 0.0, 1.0, 1.0  # pixels of the image for one of the result
    for step in steps:
        if step["step"] in RESIZES:
            new = _resized(step, width, height)
            across, down = across * width / new[0], down * height / new[1]
        elif step["step"] == "centre_crop":
            new = step["size"][1], step["size"][0]
            left += round((width - new[0]) / 2) * across
            top += round((height - new[1]) / 2) * down
        else:
            continue
        width, height = new
    return left, top, width * across, height * down


def _resized(step: dict, width: int, height: int) -> tuple[int, int]:
    if step["step"] == "resize":
        return _size(width, height, step["size"])
    return _kept_ratio(width, height, step["size"], step["longest"])


def _size(width: int, height: int, size: int | list[int]) -> tuple[int, int]:
    """Width and height: a list is (h, w); a number is the shorter side, and the ratio is kept."""
    if isinstance(size, list):
        return size[1], size[0]
    short = min(width, height)
    return tuple(size if side == short else int(size * side / short) for side in (width, height))


def _kept_ratio(width: int, height: int, size: list[int], longest: float) -> tuple[int, int]:
    """Width and height at which the shortest (longest = 0) or longest (1) side fits `size`."""
    ratios = height / size[0], width / size[1]
    ratio = max(ratios) * longest + min(ratios) * (1 - longest)
    return round(width / ratio), round(height / ratio)


def _centre_crop(image: Image.Image, size: list[int], fill: list[int]) -> Image.Image:
    """The middle (h, w) of an image, which is put in the middle of a canvas if it is smaller."""
    height, width = size
    if image.width < width or image.height < height:
        canvas = Image.new("RGB", (max(width, image.width), max(height, image.height)), tuple(fill))
        left, top = (canvas.width - image.width) // 2, (canvas.height - image.height) // 2
        canvas.paste(image, (left, top))
        image = canvas
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))
