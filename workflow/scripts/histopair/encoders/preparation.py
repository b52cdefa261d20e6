"""How an image becomes pixels: the library's own steps, or those that `pixels` says."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from histopair.encoders.weights import Refusal

# Pillow's numbers of filters, which preprocessor_config.json has.
FILTERS = {2: "bilinear", 3: "bicubic"}
SCALE = 1 / 255
SET_ALL = "Set all of `pixels`: size, interpolation, mean and std"
OPEN_CLIP_RESIZES = ("shortest", "squash")


@dataclass(frozen=True)
class Pixels:
    """size: side of the square crop; resize: the shorter side before it, or [height, width]."""

    size: int
    resize: int | list[int]
    interpolation: str
    mean: list[float]
    std: list[float]

    def changed(self, pixels: dict) -> "Pixels":
        """The same with what an entry's `pixels` says; images are resized to a new size itself."""
        whole = {"resize": pixels["size"]} if "size" in pixels else {}
        return replace(self, **whole | pixels)

    def transform(self) -> Callable:
        """PIL RGB image -> pixels (3, size, size)."""
        from torchvision import transforms

        mode = transforms.InterpolationMode(self.interpolation)
        return transforms.Compose(
            [
                transforms.Resize(self.resize, mode),
                transforms.CenterCrop(self.size),
                transforms.ToTensor(),
                transforms.Normalize(self.mean, self.std),
            ]
        )


def of_timm(data: dict) -> Pixels:
    """What timm's data config says; `crop_pct` is the share of the resized side that is kept."""
    size = data["input_size"][-1]
    resize = math.floor(size / data["crop_pct"])
    return Pixels(size, resize, data["interpolation"], list(data["mean"]), list(data["std"]))


def of_processor(config: dict) -> Pixels:
    """What a preprocessor_config.json says. Raises Refusal for steps that are not known here."""
    scale, filter_ = config.get("rescale_factor", SCALE), config.get("resample", 2)
    usual = {
        "do_resize": config.get("do_resize", True),
        "do_rescale": config.get("do_rescale", True),
        f"rescale_factor {scale}": math.isclose(scale, SCALE),
        f"resample {filter_}": filter_ in FILTERS,
        "crop_pct": config.get("crop_pct") is None,
        f"size {config.get('size')}": _is_side(config.get("size")),
    }
    if odd := [name for name in usual if not usual[name]]:
        problem = f"its preprocessor_config.json has a step that is not known here ({odd[0]})"
        raise Refusal(problem, SET_ALL)
    resize = _side(config["size"])
    crop = config.get("do_center_crop") and config.get("crop_size")
    size = _side(crop) if crop else resize
    plain = not config.get("do_normalize", True)
    return Pixels(
        size=size if isinstance(size, int) else size[0],
        resize=resize,
        interpolation=FILTERS[filter_],
        mean=[0.0] * 3 if plain else config["image_mean"],
        std=[1.0] * 3 if plain else config["image_std"],
    )


def of_open_clip(config: dict) -> Pixels:
    """What an open_clip preprocessing config says. Raises Refusal for a resize not known here."""
    size, mode = config["size"], config.get("resize_mode") or "shortest"
    size = size if isinstance(size, int) else size[0]
    if mode not in OPEN_CLIP_RESIZES:
        problem = f"`pixels`: its images are resized by {mode!r}, which is not known here"
        raise Refusal(problem, "Leave out `pixels`, or write resize_mode: squash in its config")
    resize = [size, size] if mode == "squash" else size
    return Pixels(size, resize, config["interpolation"], list(config["mean"]), list(config["std"]))


def _is_side(size: object) -> bool:
    """Whether `_side` knows a processor's `size`."""
    if not isinstance(size, Mapping):
        return isinstance(size, int)
    return "shortest_edge" in size or {"height", "width"} <= size.keys()


def _side(size: int | dict) -> int | list[int]:
    """`size` of a processor: the shorter side, or [height, width]."""
    if isinstance(size, int):
        return size
    return size["shortest_edge"] if "shortest_edge" in size else [size["height"], size["width"]]
