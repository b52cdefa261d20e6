"""A tile from its attributes: its architecture's painter, what is mixed in, stain and camera."""

import numpy as np

from histopair.phantom import epithelium, glands, nuclei, stain, tissues, tumours
from histopair.phantom.entities import ATTRIBUTES
from histopair.phantom.textures import at, blank, fractal, paint, points, ramp

PAINTERS = {
    "adipocytes": tissues.adipose,
    "empty": tissues.background,
    "debris": tissues.debris,
    "sheets": tissues.lymphoid,
    "follicles": tissues.lymphoid,
    "sinuses": tissues.lymphoid,
    "pools": tissues.mucin,
    "bundles": tissues.muscle,
    "collagen": tissues.collagen,
    "neuropil": tissues.neuropil,
    "rosettes": tissues.rosettes,
    "fascicles": tissues.fascicles,
    "trabeculae": tissues.trabeculae,
    "smear-cells": tissues.smear,
    "smear-clusters": tissues.smear,
    "squamous": epithelium.squamous,
    "alveoli": epithelium.alveoli,
    "granuloma": epithelium.granuloma,
    **dict.fromkeys(glands.GLANDS, glands.glands),
    **dict.fromkeys(tumours.TUMOURS, tumours.tumour),
}
# Tissues whose painter already shows these amounts.
SHOWS_LYMPHOCYTES = ("lymphoid", "background", "mucin", "smear", "neural")
SHOWS_NECROSIS = ("necrosis", "background", "smear")


def render(
    attributes: dict,
    slide: stain.Stain,
    shape: tuple[int, int],
    mpp: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """One tile, (height, width, 3) uint8, of a row of attributes at `mpp` microns per pixel.

    `slide` is the patient's stain. Equal arguments and generator state give equal pixels.
    """
    t = {name: _plain(attributes[name]) for name in ATTRIBUTES}
    c = blank(shape, mpp, rng)
    PAINTERS[t["architecture"]](c, t)
    if t["fat"] > 0.06 and t["tissue"] not in ("adipose", "bone"):
        _patch_of_fat(c, t)
    if (
        t["necrosis"] > 0.04
        and t["tissue"] not in SHOWS_NECROSIS
        and t["architecture"] not in ("comedo", "granuloma")
    ):
        field = fractal(c, 45)
        tissues.debris(c, t, ramp(field - np.float32(np.quantile(field, 1 - t["necrosis"])), 0.25))
    if t["tissue"] not in SHOWS_LYMPHOCYTES and t["architecture"] != "crypts":
        _infiltrate(c, t)
    if t["mitoses"]:
        _divide(c, t)
    if t["tissue"] != "background" and rng.random() < 0.12:
        _edge_of_section(c)
    return stain.photograph(stain.to_rgb(c.haem, c.eosin, slide), mpp, slide.blur_um, rng)


def _plain(value):
    if isinstance(value, str):
        return value
    return int(value) if float(value).is_integer() else float(value)


def _patch_of_fat(c, t: dict) -> None:
    field = fractal(c, 70)
    cover = ramp(field - np.float32(np.quantile(field, 1 - t["fat"])), 0.06)
    fat = blank(c.haem.shape, c.mpp, c.rng)
    tissues.adipose(fat, t | {"stroma": 0.0}, 22)
    paint(c, cover, fat.haem, fat.eosin)


def _infiltrate(c, t: dict) -> None:
    """Lymphocytes in clusters, over at most the stated share of the tissue that is there."""
    xy = points(c, 7.2, 0.33)
    keep = c.rng.random(len(xy)) < np.clip(
        0.9 * t["lymphocytes"] * (1 + 1.1 * at(c, fractal(c, 26), xy)), 0, 0.95
    )
    nuclei.lymphocytes(c, xy[keep & (at(c, c.eosin + c.haem, xy) > 0.14)])


def _divide(c, t: dict) -> None:
    """About 1, 3 or 6 mitotic figures per 0.01 square millimetre, where there are cells."""
    area = c.extent[0] * c.extent[1] / 1e4
    xy = points(c, 12)
    xy = xy[at(c, c.haem, xy) > 0.3]
    count = min(len(xy), c.rng.poisson((0, 1, 3, 6)[t["mitoses"]] * area))
    nuclei.mitoses(c, xy[c.rng.permutation(len(xy))[:count]])


def _edge_of_section(c) -> None:
    """Glass beyond the edge of the section, in one corner."""
    turn = c.rng.uniform(0, 2 * np.pi)
    height, width = c.extent
    along = (c.x - width / 2) * np.float32(np.cos(turn)) + (c.y - height / 2) * np.float32(
        np.sin(turn)
    )
    paint(
        c, ramp(along - np.float32(0.36 * min(height, width)) + 5 * fractal(c, 30), 2.0), 0.0, 0.0
    )
