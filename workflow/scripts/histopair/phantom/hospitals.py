"""Colon tiles of other hospitals: the classes of the phantom's NCT-CRC under other stains.

Each hospital stains and scans in its own way, so far from the phantom's as its `shift` says. Models
that were trained on the phantom's NCT-CRC meet here what external validation meets.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from histopair.files import tables
from histopair.jobs import progress
from histopair.phantom import attributes, formats, stain
from histopair.phantom import tiles as painting
from histopair.phantom.entities import WORLDS

TILES_PER_PATIENT = 6
# Standard deviations between hospitals at a shift of 1.
HUE, STRENGTH, LIGHT = 0.07, 0.3, 0.03
BLUR_UM = 0.5  # of a worse focus, at a shift of 1


def write(folder: str, labels: str, truth: str, size: dict, seed: int, about: dict) -> None:
    """Write the tiles, their table (path, label, group, site) and the truth.

    size: sites ({name: shift}; 0 is the stain of the phantom's NCT-CRC), per_class (tiles of each
    class at each site), pixels, microns_per_pixel. All labels are right.
    """
    table = pd.concat([_of_site(site, size, seed) for site in size["sites"]], ignore_index=True)
    shape, mpp = (size["pixels"],) * 2, size["microns_per_pixel"]
    rows = table.to_dict("records")
    with formats.whole_folder(folder) as root:
        for number in progress(range(len(rows)), len(rows), "tiles", "hospitals"):
            row = rows[number]
            slide = _slide(row["group"], row["site"], size["sites"][row["site"]], seed)
            rng = attributes.generator(seed, "hospitals", "tile", number)
            pixels = painting.render(row, slide, shape, mpp, rng)
            Image.fromarray(pixels).save(root / row["path"])
    table["path"] = f"{Path(folder).name}/" + table["path"]
    listed = table[["path", "label", "group", "site"]]
    tables.write_text(labels, listed.to_csv(index=False))
    tables.write(truth, table, about)


def _of_site(site: str, size: dict, seed: int) -> pd.DataFrame:
    """Attributes of a hospital's tiles, of patients whom no other has."""
    rng = attributes.generator(seed, "hospitals", site)
    entities = np.repeat(WORLDS["nct-crc"], size["per_class"])
    count = max(3, len(entities) // TILES_PER_PATIENT)
    people = attributes.patients(count, f"hospital-{site}-", rng)
    rows = people.iloc[rng.integers(0, count, len(entities))].reset_index(drop=True)
    table = attributes.sample(list(entities), rows, rng).assign(site=site, split=None)
    table["label"] = attributes.label("nct-crc", table)
    return table.assign(path=[f"{site}-{number:05d}.png" for number in range(len(table))])


def _slide(group: str, site: str, shift: float, seed: int) -> stain.Stain:
    """A patient's stain as a hospital makes it."""
    slide = stain.sample(attributes.generator(seed, "hospitals", "stain", group))
    rng = attributes.generator(seed, "hospitals", "site", site)
    vectors = np.clip(slide.vectors + shift * rng.normal(0, HUE, (2, 3)), 0.03, None)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    strength = slide.strength * np.exp(shift * rng.normal(0, STRENGTH, 2))
    light = np.clip(slide.light + shift * rng.normal(0, LIGHT, 3), 0.5, 1)
    blur = slide.blur_um + shift * BLUR_UM
    return stain.Stain(vectors.astype(np.float32), strength, light, blur)
