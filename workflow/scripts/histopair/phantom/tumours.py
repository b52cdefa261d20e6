"""Painters of carcinoma: where a random field is high, with its lumens, mucin and keratin."""

import numpy as np

from histopair.phantom import nuclei, tissues
from histopair.phantom.textures import Canvas, at, cells, fractal, noise, paint, points, ramp

# scale: microns of the field; lumen: share of the tumour that is lumen; columnar: nuclei stand
# across the border; spacing of nuclei at grade 1.
TUMOURS = {
    "irregular-glands": dict(scale=44, lumen=0.2, columnar=True, spacing=7.2),
    "cribriform": dict(scale=90, lumen=0.0, columnar=False, spacing=7.6, holes=26),
    "solid": dict(scale=110, lumen=0.0, columnar=False, spacing=8.8),
    "nests": dict(scale=38, lumen=0.0, columnar=False, spacing=8.4),
    "cords": dict(scale=24, lumen=0.0, columnar=False, spacing=8.0, ridge=True),
    "single-cells": dict(scale=9, lumen=0.0, columnar=False, spacing=9.5),
    "mucinous-nests": dict(scale=34, lumen=0.0, columnar=False, spacing=8.0),
    "clear-nests": dict(scale=60, lumen=0.0, columnar=False, spacing=13, clear=True),
    "keratin-nests": dict(
        scale=48, lumen=0.0, columnar=False, spacing=10.5, pink=0.72, keratin=True
    ),
}


def tumour(c: Canvas, t: dict) -> None:
    """Carcinoma: regions where a random field is high, of the area that stroma and mucin leave."""
    kind = TUMOURS[t["architecture"]]
    _ground(c, t)
    field = fractal(c, kind["scale"])
    if kind.get("ridge"):
        field = -np.abs(field)
    free = np.clip(t["stroma"] + (t["mucin"] if t["mucin"] > 0.3 else 0) + 0.06, 0.08, 0.88)
    low = np.quantile(field, free)
    steep = np.float32(np.abs(np.diff(field, axis=0)).mean() / c.mpp * 1.6 + 1e-4)
    depth = (field - np.float32(low)) / steep
    inside = ramp(depth, max(1.2, c.mpp))
    paint(c, 0.55 * ramp(depth + 3, 2.5) * (1 - inside), 0.02, 0.12)
    cyto = kind.get("pink", 0.46) + 0.06 * noise(c, 7)
    paint(c, inside, 0.24 + 0.05 * t["nuclear_grade"] + 0.04 * noise(c, 20), np.clip(cyto, 0.1, 1))
    hole = _holes(c, t, kind, field, depth)
    grade = max(t["nuclear_grade"], 1)
    xy = points(c, kind["spacing"] * (0.97, 1.08, 1.26)[grade - 1], 0.22 + 0.04 * grade)
    if kind.get("clear"):
        border = cells(c, xy) if len(xy) < 160 else np.full_like(depth, 1.0)
        paint(c, inside * ramp(border - 0.5, 1), 0.03, 0.1)
    xy = xy[(at(c, depth, xy) > 1.5) & (at(c, hole, xy) < 0.25)]
    if kind["columnar"]:
        slope_y, slope_x = np.gradient(field)
        angle = np.arctan2(at(c, slope_y, xy), at(c, slope_x, xy))
        nuclei.epithelial(c, xy, grade, angle, 1.75 - 0.15 * grade, 2.9)
    else:
        nuclei.epithelial(c, xy, grade, None, 1.25, 2.5 if kind.get("clear") else 3.1)


def _ground(c: Canvas, t: dict) -> None:
    """What the tumour invades: mucin, a lymph node, or stroma."""
    if t["mucin"] > 0.3:
        tissues.mucin(c, t | {"lymphocytes": 0})
    elif t["organ"] == "lymph-node":
        tissues.lymphoid(c, t | {"architecture": "sheets", "nuclear_grade": 0})
    else:
        tissues.collagen(c, t)


def _holes(c: Canvas, t: dict, kind: dict, field: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Lumens of glands and of cribriform sheets, keratin pearls; returns their cover."""
    if kind.get("holes"):
        hubs = points(c, kind["holes"], 0.25)
        size = c.rng.uniform(5, 8.5, len(hubs))
        hole = np.minimum(
            nuclei.stamp(
                c, hubs, size, size * 0.8, c.rng.uniform(0, 3, len(hubs)), 1.0, rough=0.12
            ),
            1,
        )
        hole = hole * (depth > 6)
    elif kind["lumen"]:
        share = (
            kind["lumen"] * np.clip(1 - t["stroma"], 0.3, 1) * (1.25 - 0.25 * t["nuclear_grade"])
        )
        hole = ramp((field - np.float32(np.quantile(field, 1 - share))) * 4, 0.5)
    elif kind.get("keratin"):
        hubs = points(c, 55, 0.25)
        hubs = hubs[at(c, depth, hubs) > 8]
        hole = np.minimum(nuclei.stamp(c, hubs, 11, 8.5, c.rng.uniform(0, 3, len(hubs)), 1.0), 1)
        swirl = np.sin(
            np.minimum(nuclei.stamp(c, hubs, 12, 9, 0.0, 1.0, vesicle=0.9, rough=0.02), 1) * 22
        )
        paint(c, hole, 0.03, 1.0 + 0.12 * swirl)
        return hole
    else:
        return np.zeros_like(depth)
    paint(c, hole, 0.03 + 0.2 * t["mucin"], 0.04 + 0.1 * np.clip(noise(c, 10) - 0.6, 0, 1))
    return hole
