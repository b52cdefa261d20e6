"""Three tiles and three texts, the same on every machine, for the fingerprint of an encoder."""

import random

import numpy as np
from PIL import Image

SIDE = 256  # pixels
SEED = 20261126
# Three tissues: colours of background and nuclei, how many nuclei, and the least and most radius.
TISSUES = (
    ((236, 190, 214), (92, 60, 140), 40, (6, 10)),
    ((222, 150, 190), (74, 40, 118), 150, (7, 13)),
    ((246, 232, 240), (140, 110, 170), 12, (4, 7)),
)
TEXTS = (
    "Moderately differentiated adenocarcinoma of the colon, invading the muscularis propria.",
    "Normal colonic mucosa without dysplasia.",
    "Dense lymphocytic infiltrate",
)


def tiles() -> list[Image.Image]:
    """Three RGB tiles: nuclei on a striped ground.

    All is computed in whole numbers from Python's own generator, whose sequence is fixed.
    """
    numbers = random.Random(SEED)
    return [_tile(numbers, *tissue) for tissue in TISSUES]


def _tile(numbers: random.Random, ground, nucleus, count: int, radii) -> Image.Image:
    y, x = np.mgrid[:SIDE, :SIDE]
    stripes = (3 * x + 2 * y) // 16 % 8 * 2
    pixels = np.array(ground)[None, None, :] - stripes[:, :, None]
    for _ in range(count):
        row, column = _below(numbers, SIDE), _below(numbers, SIDE)
        radius = radii[0] + _below(numbers, radii[1] - radii[0] + 1)
        inside = (x - column) ** 2 + (y - row) ** 2 <= radius**2
        pixels[inside] = np.array(nucleus) + (row + column) % 24
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _below(numbers: random.Random, limit: int) -> int:
    # `random` alone is promised to give the same numbers in every version of Python.
    return int(numbers.random() * limit)
