"""Images that are no longer like those of training, made from images of the test split."""

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from histopair.phantom import stain

BLUR = 1.5  # pixels of the size that the model reads
TURN = 0.15  # how far a stain's optical densities move between red and blue


def blurred(image: Image.Image, read: int) -> Image.Image:
    """Out of focus. read: the side in pixels that the model reads."""
    return image.filter(ImageFilter.GaussianBlur(BLUR * min(image.size) / read))


def magnified(image: Image.Image, read: int) -> Image.Image:
    """The middle at twice the magnification."""
    width, height = image.size
    box = (width // 4, height // 4, width - width // 4, height - height // 4)
    return image.resize(image.size, Image.Resampling.BICUBIC, box=box)


def shrunk(image: Image.Image, read: int) -> Image.Image:
    """Half the magnification; the rest is filled by mirror images."""
    small = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (2 * small.width, 2 * small.height))
    row = [small, ImageOps.mirror(small)]
    for x, part in enumerate(row):
        canvas.paste(part, (x * small.width, 0))
        canvas.paste(ImageOps.flip(part), (x * small.width, small.height))
    return canvas.resize(image.size)


def stained(image: Image.Image, read: int) -> Image.Image:
    """The same amounts of haematoxylin and eosin in other hues (Ruifrok and Johnston 2001)."""
    before = np.array([stain.HAEMATOXYLIN, stain.EOSIN])
    before = np.vstack([before, np.cross(*before)])
    before /= np.linalg.norm(before, axis=1, keepdims=True)
    after = before + np.array([[TURN, 0, -TURN], [-TURN / 2, 0, TURN], [0, 0, 0]])
    after /= np.linalg.norm(after, axis=1, keepdims=True)
    density = -np.log((np.asarray(image, float) + 1) / 256)
    light = 256 * np.exp(-density @ np.linalg.inv(before) @ after) - 1
    return Image.fromarray(np.clip(light + 0.5, 0, 255).astype(np.uint8))


SHIFTS = {"blurred": blurred, "magnified": magnified, "shrunk": shrunk, "stained": stained}
