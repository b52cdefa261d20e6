"""Painters of epithelium: glands and ducts by their contours, tumours and membranes by fields."""

import numpy as np

from histopair.phantom import nuclei, tissues
from histopair.phantom.textures import Canvas, at, cells, fractal, noise, paint, points, ramp

# pitch: microns between centres; fill: share of the pitch; tall: epithelium in microns; rows of
# nuclei; goblets: share of cells; lobes: departure from a circle; inside: what the lumen holds.
GLANDS = {
    "crypts": dict(pitch=66, fill=0.9, tall=19, rows=1, goblets=0.62, lobes=0.04),
    "ducts": dict(pitch=72, fill=0.66, tall=11, rows=2, lobes=0.16),
    "lobules": dict(pitch=27, fill=0.86, tall=8, rows=1, lobes=0.08),
    "adenosis": dict(pitch=19, fill=0.92, tall=7, rows=1, lobes=0.2, aspect=1.7),
    "slit-ducts": dict(pitch=80, fill=0.9, tall=9, rows=2, lobes=0.22, aspect=3.4),
    "cysts": dict(pitch=100, fill=0.93, tall=12, rows=1, lobes=0.06, pink=0.75),
    "hyperplastic-ducts": dict(pitch=84, fill=0.9, tall=60, rows=0, lobes=0.1, inside="slits"),
    "filled-ducts": dict(pitch=96, fill=0.9, tall=60, rows=0, lobes=0.06, inside="solid"),
    "cribriform-ducts": dict(pitch=96, fill=0.9, tall=60, rows=0, lobes=0.06, inside="holes"),
    "comedo": dict(pitch=104, fill=0.92, tall=60, rows=0, lobes=0.06, inside="necrosis"),
    "tubules": dict(pitch=38, fill=0.98, tall=12, rows=1, lobes=0.07, pink=0.85, aspect=1.3),
    "colloid-follicles": dict(pitch=50, fill=0.97, tall=6, rows=1, lobes=0.07, inside="colloid"),
    "small-glands": dict(pitch=29, fill=0.8, tall=9, rows=1, lobes=0.1),
    "tubular-glands": dict(pitch=54, fill=0.68, tall=13, rows=2, lobes=0.12),
}
STROMA_OF = {
    "crypts": "lamina",
    "tubules": "loose",
    "colloid-follicles": "loose",
    "tubular-glands": "cellular",
}


SPOKES = np.linspace(-np.pi, np.pi, 129)


def glands(c: Canvas, t: dict) -> None:
    """Glands in stroma; each gland is a contour r(angle), its epithelium hangs inside of it."""
    kind = GLANDS[t["architecture"]]
    _between(c, t, STROMA_OF.get(t["architecture"], "collagen"))
    rings = _contours(c, kind)
    depth = np.full(c.haem.shape, -1e3, np.float32)
    for ring in rings:
        _deepen(c, depth, ring)
    inside = ramp(depth, max(1.0, c.mpp))
    rim = ramp(depth + 2.2, 1.5) * (1 - inside)
    paint(c, 0.75 * rim, 0.04, 0.3)
    pink = kind.get("pink", 0.42) + 0.05 * noise(c, 5)
    paint(c, inside, 0.2 + 0.05 * t["nuclear_grade"], pink)
    lumen = ramp(depth - np.float32(kind["tall"]), 2.0)
    _fill_lumen(c, t, kind, depth, lumen)
    _line(c, t, kind, rings)


def _between(c: Canvas, t: dict, kind: str) -> None:
    """What lies between glands."""
    if kind == "collagen":
        tissues.collagen(c, t)
        return
    pale = {"lamina": 0.3, "loose": 0.26, "cellular": 0.34}[kind]
    paint(c, 1.0, 0.07, np.clip(pale + 0.12 * noise(c, 6) + 0.08 * noise(c, 16), 0.04, 1))
    xy = points(c, {"lamina": 8.5, "loose": 16, "cellular": 8}[kind], 0.36)
    if kind == "lamina":
        nuclei.lymphocytes(c, xy[c.rng.random(len(xy)) < 0.35 + 1.4 * t["lymphocytes"]])
    nuclei.spindles(c, xy[c.rng.random(len(xy)) < 0.4], c.rng.uniform(0, 3), 4.2, 1.7)


def _contours(c: Canvas, kind: dict) -> list[dict]:
    centres = points(c, kind["pitch"], 0.16, 0.6 * kind["pitch"])
    aspect = kind.get("aspect", 1.15)
    lean = c.rng.uniform(0, np.pi)
    rings = []
    for centre in centres:
        radius = kind["pitch"] / 2 * kind["fill"] * c.rng.uniform(0.86, 1.06)
        stretch = np.sqrt(aspect * c.rng.uniform(0.88, 1.15))
        lobes = c.rng.normal(0, kind["lobes"], 3) / (1, 1.4, 2)
        phases = c.rng.uniform(0, 6.28, 3)
        angle = lean + c.rng.normal(0, 0.25)
        rings.append(
            dict(
                centre=centre,
                a=radius * stretch,
                b=radius / stretch,
                angle=angle,
                lobes=lobes,
                phases=phases,
            )
        )
    return rings


def _radius(ring: dict, theta):
    """The contour at angles to its own long axis: an ellipse times (1 + three harmonics)."""
    ellipse = ring["a"] * ring["b"] / np.hypot(ring["b"] * np.cos(theta), ring["a"] * np.sin(theta))
    waves = sum(
        k * np.cos((m + 2) * theta + p)
        for m, (k, p) in enumerate(zip(ring["lobes"], ring["phases"], strict=True))
    )
    return ellipse * (1 + waves)


def _deepen(c: Canvas, depth: np.ndarray, ring: dict) -> None:
    """Raise `depth` (microns inside of the nearest contour) within reach of one contour."""
    x0, y0 = ring["centre"]
    reach = 1.35 * max(ring["a"], ring["b"]) + 4
    rows = slice(max(0, int((y0 - reach) / c.mpp)), max(0, int((y0 + reach) / c.mpp)))
    cols = slice(max(0, int((x0 - reach) / c.mpp)), max(0, int((x0 + reach) / c.mpp)))
    if not depth[rows, cols].size:
        return
    dx, dy = c.x[rows, cols] - np.float32(x0), c.y[rows, cols] - np.float32(y0)
    theta = np.arctan2(dy, dx)
    spokes = _radius(ring, SPOKES - ring["angle"]).astype(np.float32)
    edge = spokes[((theta + np.float32(np.pi)) * np.float32(128 / (2 * np.pi))).astype(np.int32)]
    scale = np.float32(min(ring["a"], ring["b"])) / edge if ring["a"] > 2 * ring["b"] else 1
    np.maximum(depth[rows, cols], (edge - np.hypot(dx, dy)) * scale, out=depth[rows, cols])


def _fill_lumen(c: Canvas, t: dict, kind: dict, depth: np.ndarray, lumen: np.ndarray) -> None:
    content = kind.get("inside", "clear")
    if content == "clear":
        paint(c, lumen, 0.02 + 0.14 * t["mucin"], 0.02 + 0.04 * np.clip(noise(c, 12), 0, 1))
        return
    if content == "colloid":
        scallop = ramp(depth - 8 - 1.5 * np.abs(noise(c, 5)), 1.0)
        paint(c, lumen, 0.01, 0.05)
        paint(c, scallop, 0.03, 0.72 + 0.04 * noise(c, 30))
        return
    within = depth > 3
    if content == "slits":
        gap = ramp(fractal(c, 22) - np.float32(0.75), 0.25) * (depth > 9)
    elif content == "holes":
        hubs = points(c, 24, 0.15)
        gap = np.minimum(nuclei.stamp(c, hubs, 6.5, 6, 0.0, 1.0, rough=0.08), 1) * (depth > 8)
    elif content == "necrosis":
        gap = ramp(depth - np.float32(22 - 14 * t["necrosis"]), 4)
    else:
        gap = np.zeros_like(depth)
    mosaic = content == "slits"
    xy = points(c, 9.2 if t["nuclear_grade"] < 2 else 11, 0.36 if mosaic else 0.22)
    xy = xy[(at(c, within, xy)) & (at(c, gap, xy) < 0.3)]
    if content == "necrosis":
        tissues.debris(c, t, gap)
    else:
        paint(c, gap, 0.03, 0.04)
    nuclei.epithelial(c, xy, t["nuclear_grade"], None, 1.7 if mosaic else 1.2, 3.0)


def _line(c: Canvas, t: dict, kind: dict, rings: list[dict]) -> None:
    """Nuclei along the contours: columnar rows, goblets above them, flat myoepithelium outside."""
    size = 2.9 if kind["tall"] < 10 else 3.3
    rows, goblets, rims = [], [], []
    for ring in rings:
        around = np.pi * (ring["a"] + ring["b"])
        for row in range(max(kind["rows"], 1)):
            theta = np.linspace(0, 2 * np.pi, max(6, int(around / (2.35 * size))), endpoint=False)
            theta = theta + c.rng.normal(0, 0.03, len(theta)) + 0.5 * row * (theta[1] - theta[0])
            edge, facing = _radius(ring, theta), theta + ring["angle"]
            direction = np.stack([np.cos(facing), np.sin(facing)], 1)
            sunk = 4.0 + 4.8 * row + c.rng.normal(0, 0.6 + 0.4 * row, len(theta))
            rows.append(np.c_[ring["centre"] + direction * (edge - sunk)[:, None], facing])
            if row == 0 and kind.get("goblets"):
                some = c.rng.random(len(theta)) < kind["goblets"] * (0.75 + t["mucin"])
                spot = (
                    ring["centre"]
                    + direction * (edge - c.rng.uniform(10, 13.5, len(theta)))[:, None]
                )
                goblets.append(np.c_[spot, facing][some])
            if row == 0 and kind["pitch"] > 60 and not kind.get("goblets"):
                rims.append(
                    np.c_[ring["centre"] + direction * (edge + 0.8)[:, None], facing + np.pi / 2][
                        ::2
                    ]
                )
    if goblets:
        g = np.concatenate(goblets)
        size_g = c.rng.uniform(4.6, 6.2, len(g))
        pale = np.minimum(
            nuclei.stamp(c, g[:, :2], size_g, size_g * 0.72, g[:, 2], 1.0, rough=0.05), 1
        )
        paint(c, 0.92 * pale, 0.11, 0.03)
    if kind["rows"]:
        r = np.concatenate(rows) if rows else np.empty((0, 3))
        stretch = 1.15 if kind["tall"] < 10 else 1.5
        nuclei.epithelial(c, r[:, :2], t["nuclear_grade"], r[:, 2], stretch, size * 0.86)
    if rims:
        m = np.concatenate(rims)
        nuclei.spindles(c, m[:, :2], m[:, 2], 3.8, 1.2)


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
