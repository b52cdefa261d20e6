"""Tiles of stroma with one or two lesions, each at a known place, and notes that name them.

The place is the truth of where a model should look, and the words the truth of what it should read.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from histopair.files import tables
from histopair.jobs import progress
from histopair.phantom import attributes, formats, stain, tissues, tumours
from histopair.phantom.textures import Canvas, blank, noise, paint, ramp

PAINTERS = {
    "carcinoma": tumours.tumour,
    "lymphocytes": tissues.lymphoid,
    "mucin": tissues.mucin,
    "necrosis": tissues.debris,
}
LESIONS = list(PAINTERS)
# What a painter reads of a tile's attributes.
TISSUE = {"organ": "colon", "stroma": 0.4, "mucin": 0.0, "fat": 0.0, "necrosis": 0.0}
TISSUE |= {"lymphocytes": 0.0, "nuclear_grade": 0, "mitoses": 0, "architecture": "collagen"}
PAINTED = {
    "carcinoma": {"architecture": "solid", "stroma": 0.0, "nuclear_grade": 2},
    "lymphocytes": {"architecture": "sheets", "lymphocytes": 0.9},
    "mucin": {"architecture": "pools", "mucin": 0.9},
    "necrosis": {"architecture": "debris", "necrosis": 0.9},
}
PHRASES = {
    "carcinoma": ["solid carcinoma", "sheets of atypical cells", "invasive adenocarcinoma"],
    "lymphocytes": ["dense lymphocytic aggregates", "many lymphocytes", "brisk inflammation"],
    "mucin": ["pools of mucin", "extracellular mucin", "mucinous lakes"],
    "necrosis": ["ghost cells", "focal necrosis", "necrotic debris"],
}
OPENINGS = ["here we see", "this field shows", "notice", "at this power there is"]
GROUND = ["within fibrous stroma", "in a collagenous background", "between bundles of collagen"]
RADIUS = (0.13, 0.24)  # of a lesion, in sides of the tile


def tiles(folder: str, masks: str, labels: str, truth: str, size: dict, seed: int, about: dict):
    """Write tiles, their masks, their table (path, group, split, labels, caption) and the truth.

    size: train, val, test (tiles), tiles_per_patient, pixels, microns_per_pixel. A mask is a PNG of
    the tile's size: 0, or 1 + the place in LESIONS of the lesion that covers a pixel. truth: path,
    labels, and `mask`, the path below the folder of masks.
    """
    table = pd.concat([_split(split, size, seed) for split in ("train", "val", "test")])
    rows = table.to_dict("records")
    with formats.whole_folder(folder) as root, formats.whole_folder(masks) as drawn:
        for number in progress(range(len(rows)), len(rows), "tiles", "lesions"):
            pixels, mask = draw(rows[number], number, size, seed)
            Image.fromarray(pixels).save(root / rows[number]["path"])
            Image.fromarray(mask).save(drawn / rows[number]["path"])
    table["mask"] = table["path"]
    table["path"] = f"{Path(folder).name}/" + table["path"]
    listed = table.assign(labels=table["labels"].str.join(";"))
    columns = ["path", "group", "split", "labels", "caption"]
    tables.write_text(labels, listed[columns].to_csv(index=False))
    tables.write(truth, table[["path", "labels", "mask"]], about | {"lesions": LESIONS})


def draw(row: dict, number: int, size: dict, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (h, w, 3) and mask (h, w) of a tile, both uint8."""
    rng = attributes.generator(seed, "lesions", "tile", number)
    slide = stain.sample(attributes.generator(seed, "lesions", "stain", row["group"]))
    shape, mpp = (size["pixels"],) * 2, size["microns_per_pixel"]
    canvas = blank(shape, mpp, rng)
    tissues.collagen(canvas, TISSUE)
    mask = np.zeros(shape, np.uint8)
    for lesion, (x, y, radius) in zip(row["labels"], row["places"], strict=True):
        cover = _cover(canvas, x, y, radius)
        other = blank(shape, mpp, rng)
        PAINTERS[lesion](other, TISSUE | PAINTED[lesion])
        paint(canvas, cover, other.haem, other.eosin)
        mask[cover > 0.5] = 1 + LESIONS.index(lesion)
    pixels = stain.photograph(
        stain.to_rgb(canvas.haem, canvas.eosin, slide), mpp, slide.blur_um, rng
    )
    return pixels, mask


def named(note: str, lesion: str) -> list[tuple[int, int]]:
    """Start and end of the phrases of a note that name a lesion."""
    low = note.lower()
    starts = [(low.find(phrase), phrase) for phrase in PHRASES[lesion]]
    return [(start, start + len(phrase)) for start, phrase in starts if start >= 0]


def _cover(c: Canvas, x: float, y: float, radius: float) -> np.ndarray:
    """1 inside a round lesion with a ragged edge; centre and radius in sides of the tile."""
    side = np.float32(c.extent[1])
    away = np.hypot(c.x - x * side, c.y - y * side)
    return ramp(radius * side * (1 + np.float32(0.12) * noise(c, float(0.2 * side))) - away, 3.0)


def _split(split: str, size: dict, seed: int) -> pd.DataFrame:
    """The labels, places and notes of a split's tiles."""
    rng = attributes.generator(seed, "lesions", split)
    n = size[split]
    patients = max(2, n // size["tiles_per_patient"])
    rows = []
    for number in range(n):
        count = int(rng.integers(1, 3))
        chosen = [LESIONS[i] for i in sorted(rng.choice(len(LESIONS), count, replace=False))]
        group = f"lesions-{split}-{number % patients:04d}"
        path = f"{split}-{number:05d}.png"
        note = _note(chosen, rng)
        rows.append((path, group, split, chosen, _places(count, rng), note))
    columns = ["path", "group", "split", "labels", "places", "caption"]
    return pd.DataFrame(rows, columns=columns)


def _places(count: int, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Centre and radius of lesions that do not touch, in sides of the tile."""
    places: list[tuple[float, float, float]] = []
    while len(places) < count:
        radius = rng.uniform(*RADIUS)
        x, y = rng.uniform(radius, 1 - radius, 2)
        if all(np.hypot(x - a, y - b) > 1.2 * (radius + r) for a, b, r in places):
            places.append((x, y, radius))
    return places


def _note(lesions: list[str], rng: np.random.Generator) -> str:
    """One sentence that names the lesions in any order, and the stroma."""
    names = [rng.choice(PHRASES[lesion]) for lesion in rng.permutation(lesions)]
    text = f"{rng.choice(OPENINGS)} {' and '.join(names)} {rng.choice(GROUND)}."
    return text[0].upper() + text[1:]
