"""Weak and strong versions of tiles, drawn anew each time."""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import Normalize, v2

from histopair.encoders.activations.source import turned

GREY = 0.5


def weak(pixels: Tensor) -> Tensor:
    """Each of the tiles (n, 3, h, w) turned and mirrored; only turned by halves if not square.

    A tile has no up, so that this stands for the paper's flip and shift.
    """
    height, width = pixels.shape[-2:]
    step = 1 if height == width else 2
    turns = (step * torch.randint(8 // step, (len(pixels),))).tolist()
    return torch.stack([turned(tile, turn) for tile, turn in zip(pixels, turns, strict=True)])


class Strong:
    """Tiles (n, 3, h, w) as `preprocess` normalised them -> tiles after RandAugment and Cutout.

    Two operations a tile (Cubuk 2020), then a grey square of at most half the side, as in FixMatch.
    """

    def __init__(self, preprocess: Callable):
        steps = [step for step in preprocess.transforms if isinstance(step, Normalize)]
        mean, std = (steps[-1].mean, steps[-1].std) if steps else ([0.0] * 3, [1.0] * 3)
        self.mean, self.std = (torch.as_tensor(part).reshape(3, 1, 1) for part in (mean, std))
        self.augment = v2.Compose(
            [
                v2.RandAugment(num_ops=2, magnitude=10, fill=GREY),
                v2.RandomErasing(p=1.0, scale=(0.0, 0.25), ratio=(1.0, 1.0), value=GREY),
            ]
        )

    def __call__(self, pixels: Tensor) -> Tensor:
        mean, std = self.mean.to(pixels), self.std.to(pixels)
        plain = (pixels * std + mean).clamp(0, 1)
        return (torch.stack([self.augment(tile) for tile in plain]) - mean) / std
