"""Painters of glands and ducts, by their contours: what lines them, fills them, lies between."""

import numpy as np

from histopair.phantom import nuclei, tissues
from histopair.phantom.textures import Canvas, at, fractal, noise, paint, points, ramp

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
