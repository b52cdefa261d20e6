"""JPEG files to an encoder's bytes: through torchvision, and through Pillow as before.

    python benchmarks/decoding.py [ROUNDS]

Seconds of the CPU for 20 images, one thread; the files are in the system's memory.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from histopair.jobs import limit_threads

limit_threads(1)

import open_clip
import torch
from tiles import write_jpegs
from timing import clock, interleaved, show

from histopair import images
from histopair.images import pixels
from histopair.jobs import devices

CPU = torch.device("cpu")
IMAGES, OURS, PILLOW = 20, "torchvision, bytes", "Pillow, floats"


def main(rounds: int = 9) -> None:
    devices.start()
    for side in (512, 224):
        for interpolation in ("bicubic", "bilinear"):
            medians = measured(side, interpolation, rounds)
            show(f"{IMAGES} JPEGs of {side} px to 224 px, {interpolation}", medians, PILLOW)


def measured(side: int, interpolation: str, rounds: int) -> dict[str, float]:
    """Median seconds of both ways."""
    preprocess = open_clip.image_transform(224, is_train=False, interpolation=interpolation)
    with tempfile.TemporaryDirectory() as folder:
        names = write_jpegs(Path(folder), IMAGES, side)
        candidates = {PILLOW: _through_pillow(folder, names, preprocess), OURS: None}
        candidates[OURS] = lambda: list(pixels.batches(folder, names, preprocess, IMAGES, CPU))
        return interleaved(candidates, rounds, clock(CPU))


def _through_pillow(folder: str, names: list[str], preprocess: Callable) -> Callable[[], None]:
    """A batch as histopair 0.1's first versions made it."""
    return lambda: torch.stack([preprocess(images.load(folder, name)) for name in names])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
