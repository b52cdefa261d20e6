"""Images that are as hard to decode as tissue: blobs with grain, JPEG of quality 90."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from histopair import images
from histopair.files import tables


def write_jpegs(folder: Path, count: int, side: int) -> list[str]:
    """The names of `count` files of side x side pixels in a folder."""
    rng, names = np.random.default_rng(0), [f"{number:05d}.jpg" for number in range(count)]
    for name in names:
        coarse = rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((side, side), 3)).astype(int)
        grain = rng.integers(-9, 9, smooth.shape)
        image = Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
        image.save(folder / name, quality=90)
    return names


def write_labels(path: Path, root: Path, files: list[str], count: int) -> str:
    """A labels table of so many images, which share the files below the root."""
    digests = [images.digest(root, file) for file in files]
    ids = [f"i{number}" for number in range(count)]
    names, hashes = ([kind[n % len(files)] for n in range(count)] for kind in (files, digests))
    tables.write(path, pa.table({"image_id": ids, "path": names, "sha256": hashes}), {})
    return str(path)
