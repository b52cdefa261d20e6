"""Nuclei, goblets and other small bodies, stamped many at a time."""

import numpy as np

from histopair.phantom.textures import Canvas


def stamp(c: Canvas, xy, a, b, angle, value, vesicle=0.0, nucleolus=0.0, rough=0.15) -> np.ndarray:
    """A layer (h, w) of soft ellipses: where bodies overlap, the darkest counts.

    xy (n, 2) centres, half axes a and b, in microns; angle of a to the x axis; value the amount in
    the body; vesicle 0 (solid) to 1 (pale inside a dark rim); nucleolus the amount added in a spot
    off centre; rough the share of chromatin clumps and of departure from an ellipse.
    """
    layer = np.zeros(c.haem.shape, np.float32)
    n = len(xy)
    if n == 0:
        return layer
    columns = np.broadcast_arrays(a, b, angle, value, vesicle, nucleolus, np.zeros(n))[:6]
    bodies = np.column_stack([xy, *columns]).astype(np.float32)
    bodies = bodies[np.argsort(bodies[:, 2:4].max(1), kind="stable")]
    # Patches are as wide as their largest body: small ones go by themselves.
    for block in np.split(bodies, [n // 2, n * 9 // 10]):
        if len(block):
            _stamp_block(c, layer, block, np.float32(rough))
    return layer


def _stamp_block(c: Canvas, layer: np.ndarray, bodies: np.ndarray, rough: np.float32) -> None:
    xy, (a, b, angle, value, vesicle, nucleolus) = bodies[:, :2], bodies[:, 2:].T
    mpp = np.float32(c.mpp)
    reach = int(np.ceil(max(a.max(), b.max()) * 1.15 / mpp)) + 1
    oy, ox = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, 1, -1).astype(np.int32)
    whole = np.round(xy / mpp).astype(np.int32)
    rest = xy - whole * mpp
    cos, sin = np.cos(angle), np.sin(angle)
    # In the body's own frame, its half axes as units: two planes over the patch.
    along = ox * (mpp * cos / a)[:, None] + oy * (mpp * sin / a)[:, None]
    across = oy * (mpp * cos / b)[:, None] - ox * (mpp * sin / b)[:, None]
    u = along - ((cos * rest[:, 0] + sin * rest[:, 1]) / a)[:, None]
    v = across - ((cos * rest[:, 1] - sin * rest[:, 0]) / b)[:, None]
    cols, rows = whole[:, :1] + ox, whole[:, 1:] + oy
    height, width = layer.shape
    keep = u * u + v * v < 2.2
    keep &= (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    which = np.nonzero(keep)[0]
    if not len(which):
        return
    u, v, flat = u[keep], v[keep], rows[keep].astype(np.int64) * width + cols[keep]
    w1, w2, w3 = c.rng.standard_normal((3, len(bodies)), np.float32)[:, which] * rough
    r = np.sqrt((u * u + v * v) * np.clip(1 + w1 * u + w2 * v + w3 * u * v, 0.4, 2))
    soft = np.maximum(np.float32(0.18), np.float32(0.9) * mpp / np.minimum(a, b))[which]
    pale = np.clip((np.float32(0.78) - r) * 4, 0, 1) * vesicle[which]
    clump = c.rng.standard_normal(len(r), np.float32) * rough
    amount = value[which] * (1 - np.float32(0.72) * pale + clump)
    if nucleolus.any():
        u0, v0 = c.rng.uniform(-0.3, 0.3, (2, len(bodies))).astype(np.float32)[:, which]
        amount += nucleolus[which] * np.exp(-((u - u0) ** 2 + (v - v0) ** 2) * 14)
    amount = np.maximum(amount, 0) * np.clip((1 - r) / soft + np.float32(0.5), 0, 1)
    np.maximum.at(layer.reshape(-1), flat, amount)


def add(c: Canvas, layer: np.ndarray, thick: float = 0.5) -> None:
    """Lay nuclei over the tissue: they hide the cytoplasm below them where they are dense."""
    cover = np.minimum(layer / np.float32(thick), 1)
    c.eosin *= 1 - np.float32(0.45) * cover
    np.maximum(c.haem * (1 - cover) + layer, c.haem * np.float32(0.6), out=c.haem)


def epithelial(
    c: Canvas, xy, grade: int, angle=None, stretch: float = 1.35, size: float = 3.5
) -> None:
    """Epithelial nuclei of a nuclear grade 0 to 3.

    Grade enlarges them, varies size and shape, and turns even chromatin into dark or vesicular
    nuclei with nucleoli (Elston and Ellis, Histopathology 1991). `size` is the benign half width.
    """
    n = len(xy)
    vary = (0.08, 0.12, 0.18, 0.28)[grade]
    width = size * (1.0, 1.12, 1.32, 1.6)[grade] * np.exp(c.rng.normal(0, vary, n))
    length = width * np.clip(c.rng.normal(stretch, 0.1 + vary / 2, n), 1, 3)
    if angle is None:
        angle = c.rng.uniform(0, np.pi, n)
    angle = angle + c.rng.normal(0, 0.12 + vary, n)
    dark = c.rng.normal((0.95, 1.0, 1.0, 1.1)[grade], 0.08 + vary / 2, n)
    vesicle = np.clip(c.rng.normal((0.3, 0.4, 0.55, 0.6)[grade], 0.25, n), 0, 0.95)
    nucleolus = np.where(c.rng.random(n) < grade / 3.5, 0.55, 0.0)
    rough = (0.08, 0.1, 0.14, 0.2)[grade]
    add(c, stamp(c, xy, length, width, angle, dark, vesicle, nucleolus, rough))


def lymphocytes(c: Canvas, xy, grade: int = 0) -> None:
    """Small round dark nuclei; of high grade, the larger vesicular ones of lymphoma."""
    n = len(xy)
    radius = c.rng.normal(2.75, 0.25, n) * (1 + 0.22 * grade)
    vesicle = np.clip(c.rng.normal(0.1 + 0.2 * grade, 0.12, n), 0, 0.9)
    dark = c.rng.normal(1.45 - 0.1 * grade, 0.16, n)
    add(c, stamp(c, xy, radius * 1.08, radius, c.rng.uniform(0, 3, n), dark, vesicle, 0.0, 0.13))


def spindles(
    c: Canvas, xy, angle, length: float = 6.5, width: float = 1.35, dark: float = 1.0
) -> None:
    """Thin nuclei along `angle`, as of fibroblasts and smooth muscle."""
    n = len(xy)
    a = length * np.exp(c.rng.normal(0, 0.25, n))
    b = width * np.exp(c.rng.normal(0, 0.2, n))
    value = c.rng.normal(dark, 0.12, n)
    add(c, stamp(c, xy, a, b, angle + c.rng.normal(0, 0.15, n), value, 0.2, 0.0, 0.12))


def mitoses(c: Canvas, xy) -> None:
    """Mitotic figures: black plates and ragged clumps within a cleared cell."""
    n = len(xy)
    halo = np.minimum(stamp(c, xy, 5.5, 5.0, 0.0, 1.0), 1)
    c.haem *= 1 - 0.85 * halo
    c.eosin *= 1 - 0.45 * halo
    turn = c.rng.uniform(0, np.pi, n)
    plates = stamp(
        c, xy, c.rng.uniform(3.4, 4.8, n), c.rng.uniform(1.2, 2.0, n), turn, 2.1, rough=0.35
    )
    add(c, plates)
