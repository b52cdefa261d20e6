"""Painters of the linings of skin and lung, and of the granuloma."""

import numpy as np

from histopair.phantom import nuclei, tissues
from histopair.phantom.textures import Canvas, at, cells, fractal, noise, paint, points, ramp


def squamous(c: Canvas, t: dict) -> None:
    """Stratified squamous epithelium over dermis: dark base, flat pale top, keratin on skin."""
    tissues.collagen(c, t)
    turn = c.rng.uniform(0, 2 * np.pi)
    height, width = c.extent
    along = (c.x - width / 2) * np.float32(np.cos(turn)) + (c.y - height / 2) * np.float32(
        np.sin(turn)
    )
    depth = along + 7 * noise(c, 34) - np.float32(c.rng.uniform(-12, 4))
    top = along - np.float32(0.27 * height)
    inside, out = ramp(depth, 1.5), ramp(top + 2 * noise(c, 20), 1.5)
    paint(c, inside, np.clip(0.34 - 0.006 * depth, 0.08, 0.34), 0.55 + 0.05 * noise(c, 6))
    xy = points(c, 8.5, 0.24)
    d = at(c, depth, xy)
    xy = xy[
        (d > 2) & (at(c, out, xy) < 0.3) & (c.rng.random(len(xy)) < np.clip(1.3 - d / 60, 0.35, 1))
    ]
    flat = np.clip(1.1 + at(c, depth, xy) / 40, 1.1, 2.4)
    nuclei.epithelial(c, xy, 0, turn + np.pi / 2, flat, 2.8)
    if t["organ"] == "skin":
        paint(c, out, 0.03, np.clip(0.75 + 0.35 * np.sin(top * 1.3 + 2 * noise(c, 15)), 0.05, 1.1))
    gone = ramp(top - (9 if t["organ"] == "skin" else 0) + 2 * noise(c, 12), 1.5)
    paint(c, gone, 0.0, 0.0)


def alveoli(c: Canvas, t: dict) -> None:
    """Lung: air spaces within thin septa that carry capillaries and small nuclei."""
    border = cells(c, points(c, 46, 0.35, 60), spread=6) + 1.2 * noise(c, 8)
    wall = ramp(np.float32(2.0 + 8 * t["stroma"]) - border, 1.2) * ramp(fractal(c, 30) + 1.6, 0.5)
    paint(c, wall, 0.1, 0.5 + 0.1 * noise(c, 5))
    xy = points(c, 7.5)
    xy = xy[(at(c, wall, xy) > 0.7) & (c.rng.random(len(xy)) < 0.75)]
    nuclei.epithelial(c, xy, 0, None, 1.6, 2.3)


def granuloma(c: Canvas, t: dict) -> None:
    """Granuloma: a necrotic heart, pale histiocytes around it, a coat of lymphocytes."""
    paint(c, 1.0, 0.12, 0.35 + 0.06 * noise(c, 8))
    side = np.array(c.extent[::-1])
    centre = c.rng.uniform(0.25, 0.75, 2) * side
    away = np.hypot(c.x - np.float32(centre[0]), c.y - np.float32(centre[1])) + 6 * noise(c, 28)
    heart = side.min() * np.sqrt(t["necrosis"] / np.pi)
    core, coat = ramp(heart - away, 5), ramp(away - heart - 22, 6)
    xy = points(c, 10)
    mid = (at(c, core, xy) < 0.3) & (at(c, coat, xy) < 0.5)
    nuclei.epithelial(c, xy[mid], 0, None, 2.2, 2.2)
    small = points(c, 6.8, 0.27)
    nuclei.lymphocytes(c, small[at(c, coat, small) > c.rng.uniform(0.3, 0.9, len(small))])
    tissues.debris(c, t, core)
