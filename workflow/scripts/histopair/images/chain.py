"""An encoder's preprocessing in two steps: an image to bytes, and a batch of them to numbers.

Bytes are a quarter of the numbers, which counts where they are kept or copied to a GPU. Pixels lie
as (height, width, colours), as decoders give them and as convolutions with channels last take them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import CenterCrop, InterpolationMode, Normalize, Resize, ToTensor
from torchvision.transforms.functional import pil_to_tensor, to_pil_image
from torchvision.transforms.v2 import functional

FILTERS = (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)
LONG = 2  # times as long as wide; there both libraries may sum in another order, 20 levels apart
WITHOUT_EFFECT = ("MaybeConvertMode", "_convert_to_rgb")  # images are RGB already


@dataclass(frozen=True)
class Chain:
    """Resize, crop and normalise; `whole` is a preprocessing of other steps, done at once.

    The results of the two steps are those of the whole: bit by bit for an image of Pillow. Pixels
    that torchvision resizes differ by one grey level at some places, by two at 1 of 100,000.
    """

    shapes: list[Resize | CenterCrop] = field(default_factory=list)
    mean: Tensor | None = None
    std: Tensor | None = None
    whole: Callable | None = None

    def of_image(self, image: Image.Image) -> Tensor:
        """(h, w, 3) of an RGB image: uint8, or float32 if the preprocessing is done at once."""
        if self.whole:
            return self.whole(image).permute(1, 2, 0)
        for step in self.shapes:
            image = step(image)
        return pil_to_tensor(image).permute(1, 2, 0)

    def of_pixels(self, pixels: Tensor) -> Tensor:
        """(h, w, 3) of decoded pixels (3, H, W), uint8."""
        if max(pixels.shape[1:]) > LONG * min(pixels.shape[1:]):
            return self.of_image(to_pil_image(pixels.cpu()))
        for step in self.shapes:
            pixels = _resized(step, pixels) if isinstance(step, Resize) else step(pixels)
        return pixels.permute(1, 2, 0)

    def normalised(self, batch: Tensor) -> Tensor:
        """(n, 3, h, w), float32 with channels last, of the first step's results (n, h, w, 3)."""
        pixels = batch.permute(0, 3, 1, 2)
        if self.whole:
            return pixels
        return pixels.to(torch.float32).div_(255).sub_(self.mean).div_(self.std)


def of(preprocess: Callable, device: torch.device) -> Chain:
    """The two steps of a timm, torchvision or open_clip transform; the second is the device's."""
    steps = [s for s in getattr(preprocess, "transforms", []) if _name(s) not in WITHOUT_EFFECT]
    *shapes, to_numbers, normalise = steps if len(steps) > 1 else (None, None)
    ordinary = isinstance(to_numbers, ToTensor) and type(normalise) is Normalize
    if not ordinary or not all(map(_is_shape, shapes)):
        return Chain(whole=preprocess)
    mean, std = (
        torch.as_tensor(numbers, dtype=torch.float32, device=device).view(-1, 1, 1)
        for numbers in (normalise.mean, normalise.std)
    )
    return Chain(shapes, mean, std)


def _is_shape(step: Callable) -> bool:
    """Whether a step is known to give the same for an image and for its pixels."""
    if type(step) is Resize:
        return step.interpolation in FILTERS and step.max_size is None
    return type(step) is CenterCrop


def _resized(step: Resize, pixels: Tensor) -> Tensor:
    """Smoothed as Pillow does; torchvision's own Resize would compute it in floats, slower."""
    size = [step.size] if isinstance(step.size, int) else list(step.size)
    return functional.resize(pixels, size, step.interpolation, antialias=True)


def _name(step: Callable) -> str:
    return getattr(step, "__name__", type(step).__name__)
