"""Painters of tissues without glands: fat, collagen, muscle, lymphoid tissue, mucin, debris ...

Each takes the canvas and the tile's attributes, and covers the whole canvas.
"""

import numpy as np

from histopair.phantom import nuclei
from histopair.phantom.textures import (
    Canvas,
    at,
    cells,
    fibres,
    fractal,
    noise,
    paint,
    points,
    ramp,
)


def background(c: Canvas, t: dict) -> None:
    """Glass: nearly clear, with a trace of dirt."""
    c.haem += np.maximum(noise(c, 30), 0) * np.float32(0.006)
    specks = points(c, 60)[: c.rng.integers(0, 3)]
    nuclei.add(c, nuclei.stamp(c, specks, 1.2, 0.8, 0.0, 0.5))


def adipose(c: Canvas, t: dict, radius: float | None = None, thick: float = 1.1) -> None:
    """Fat cells: clear, closely packed, within thin pink membranes with a few flat nuclei."""
    radius = radius or c.rng.uniform(22, 34)
    border = cells(c, points(c, 2 * radius, 0.28, 2.5 * radius), spread=radius * 0.12)
    border = border + noise(c, 14) * np.float32(0.35)
    knots = np.clip(fractal(c, 60) - np.float32(1.2 - 2.2 * t["stroma"]), 0, 2) * 4
    wall = ramp(np.float32(thick) + knots - border, max(0.8, c.mpp))
    streaks, angle = fibres(c, c.rng.uniform(0, 3), 30, 3)
    paint(c, wall, 0.07, np.clip(0.5 + 0.15 * streaks, 0.15, 0.9))
    xy = points(c, 11)
    xy = xy[(at(c, wall, xy) > 0.75) & (c.rng.random(len(xy)) < 0.55)]
    nuclei.spindles(c, xy, at(c, angle, xy), 3.6, 1.4)


def collagen(c: Canvas, t: dict, dense: float | None = None) -> None:
    """Fibrous stroma: wavy eosinophilic bundles parted by clefts, and fibroblasts along them."""
    dense = t["stroma"] if dense is None else dense
    streaks, angle = fibres(c, c.rng.uniform(0, np.pi), 38, 3.2, 5.0)
    fine, _ = fibres(c, float(angle.mean()), 24, 1.4, 4.0)
    eosin = 0.5 + 0.16 * streaks + 0.08 * fine + 0.08 * noise(c, 25)
    paint(c, 1.0, 0.07 + 0.03 * noise(c, 20), np.clip(eosin, 0.12, 1.2))
    cleft = ramp(streaks + 0.5 * fine - np.float32(1.75 + 0.7 * dense), 0.6)
    paint(c, 0.85 * cleft, 0.01, 0.04)
    xy = points(c, 13)
    xy = xy[c.rng.random(len(xy)) < 0.75]
    nuclei.spindles(c, xy, at(c, angle, xy), 5.5, 1.5, 0.9)


def muscle(c: Canvas, t: dict) -> None:
    """Smooth muscle: parallel bundles of deep pink fibres, long blunt nuclei along them."""
    turn = c.rng.uniform(0, np.pi)
    streaks, angle = fibres(c, turn, 60, 2.0, 2.5, 80)
    bundles, _ = fibres(c, turn, 110, 22, 3.0, 90)
    eosin = 0.92 + 0.1 * streaks + 0.08 * bundles
    paint(c, 1.0, 0.17 + 0.03 * streaks, np.clip(eosin, 0.3, 1.3))
    gap = ramp(np.abs(bundles + 0.3) * -1 + np.float32(0.02 + 0.35 * t["stroma"]), 0.14)
    paint(c, 0.7 * gap, 0.03, 0.22)
    xy = points(c, 15)
    nuclei.spindles(c, xy[c.rng.random(len(xy)) < 0.7], at(c, angle, xy)[:1].mean(), 9, 1.8, 0.75)


def lymphoid(c: Canvas, t: dict) -> None:
    """Sheets of lymphocytes; follicles have a paler centre of larger cells; sinuses are loose."""
    paint(c, 1.0, 0.16, 0.3 + 0.06 * noise(c, 12))
    grade = t["nuclear_grade"]
    xy = points(c, 6.6 * (1 + 0.24 * grade), 0.27)
    loose = fractal(c, 36)
    if t["architecture"] == "sinuses":
        sinus = ramp(loose - np.float32(0.2), 0.5)
        paint(c, sinus, 0.05, 0.2 + 0.06 * noise(c, 6))
        large = points(c, 12)
        nuclei.epithelial(c, large[at(c, sinus, large) > 0.7], 0, None, 1.5, 2.8)
        xy = xy[c.rng.random(len(xy)) > 0.93 * at(c, sinus, xy)]
    elif t["architecture"] == "follicles":
        side = np.array(c.extent[::-1])
        centre = c.rng.uniform(0.2, 0.8, 2) * side
        away = np.hypot(c.x - np.float32(centre[0]), c.y - np.float32(centre[1]))
        pale = ramp(np.float32(0.3 * side.min()) + 5 * noise(c, 30) - away, 12)
        paint(c, pale, 0.12, 0.32)
        large = points(c, 9, 0.27)
        nuclei.epithelial(c, large[at(c, pale, large) > 0.55], 1, None, 1.2, 3.1)
        xy = xy[at(c, pale, xy) < c.rng.uniform(0.3, 0.75, len(xy))]
    nuclei.lymphocytes(c, xy[c.rng.random(len(xy)) < 0.55 + 0.45 * t["lymphocytes"]], grade)


def mucin(c: Canvas, t: dict) -> None:
    """Pools of mucin: pale blue-grey, with drifting strands and a few floating cells."""
    turn = c.rng.uniform(0, np.pi)
    strands, _ = fibres(c, turn, 55, 3.0, 12, 70)
    coarse, _ = fibres(c, turn + 0.2, 90, 9, 16, 90)
    fine, _ = fibres(c, turn, 40, 1.3, 10, 60)
    haem = 0.1 + 0.05 * strands + 0.035 * coarse + 0.03 * fine
    haem += 0.24 * ramp(np.float32(0.05) - np.abs(coarse + 0.5 * strands - 1.1), 0.15)
    paint(c, 1.0, np.clip(haem, 0.01, 0.5), np.clip(0.05 + 0.02 * noise(c, 18), 0, 1))
    xy = points(c, 45)
    nuclei.lymphocytes(c, xy[c.rng.random(len(xy)) < 0.3 + t["lymphocytes"] * 4])


def debris(c: Canvas, t: dict, cover=1.0) -> None:
    """Necrosis: granular pink debris, ghosts of cells, dust of broken nuclei."""
    grain = noise(c, max(1.5, c.mpp)) + 0.7 * noise(c, 4)
    eosin = 0.74 + 0.1 * grain + 0.12 * fractal(c, 40)
    paint(c, cover, np.clip(0.12 + 0.04 * noise(c, 9), 0, 1), np.clip(eosin, 0.15, 1.3))
    crack = ramp(noise(c, 11) - np.float32(1.6), 0.5) * cover
    paint(c, 0.8 * crack, 0.02, 0.12)
    mask = np.broadcast_to(np.asarray(cover, np.float32), c.haem.shape)
    xy = points(c, 8)
    xy = xy[(at(c, mask, xy) > 0.6) & (at(c, noise(c, 35), xy) > c.rng.normal(0.4, 0.5, len(xy)))]
    size = c.rng.uniform(0.6, 1.7, len(xy))
    nuclei.add(c, nuclei.stamp(c, xy, size * 1.2, size, 0.0, c.rng.uniform(0.7, 1.5, len(xy))))
    ghosts = points(c, 13)
    ghosts = ghosts[(at(c, mask, ghosts) > 0.7) & (c.rng.random(len(ghosts)) < 0.5)]
    c.haem += nuclei.stamp(c, ghosts, 4.2, 3.4, 0.6, 0.13)


def neuropil(c: Canvas, t: dict) -> None:
    """Brain: a fine pink felt; sparse round glia with clear haloes; dense and dark in glioma."""
    felt = noise(c, 2.2) + noise(c, 5)
    paint(c, 1.0, 0.05, np.clip(0.36 + 0.06 * felt, 0.1, 0.8))
    tumour = t["behaviour"] == "malignant"
    xy = points(c, 11 if tumour else 23, 0.38)
    if not tumour:
        halo = nuclei.stamp(c, xy, 5.2, 5.0, 0.0, 1.0)
        paint(c, np.minimum(halo, 1) * 0.8, 0.01, 0.06)
    nuclei.epithelial(c, xy, t["nuclear_grade"], None, 1.6 if tumour else 1.1, 3.0)


def rosettes(c: Canvas, t: dict) -> None:
    """Small round blue cells around tiny lumens, with little cytoplasm."""
    paint(c, 1.0, 0.2, 0.2 + 0.05 * noise(c, 9))
    hubs = points(c, 38)
    xy = points(c, 7.2, 0.2)
    away = np.linalg.norm(xy[:, None] - hubs[None], axis=2).min(1)
    core = nuclei.stamp(c, hubs, 7.5, 7.0, 0.0, 1.0)
    paint(c, np.minimum(core, 1), 0.04, 0.3)
    nuclei.epithelial(c, xy[away > 8], 1, None, 1.15, 3.0)


def fascicles(c: Canvas, t: dict) -> None:
    """Sarcoma: crowded plump spindle cells in crossing fascicles."""
    turn = c.rng.uniform(0, np.pi)
    streaks, one = fibres(c, turn, 40, 3, 9, 60)
    across, two = fibres(c, turn + 1.2, 40, 3, 9, 60)
    side = ramp(fractal(c, 70), 0.3)
    paint(c, 1.0, 0.2, np.clip(0.5 + 0.12 * (side * streaks + (1 - side) * across), 0.1, 1))
    xy = points(c, 8.2, 0.33)
    angle = np.where(at(c, side, xy) > 0.5, at(c, one, xy), at(c, two, xy))
    nuclei.epithelial(c, xy, t["nuclear_grade"], angle, 2.7, 2.0)


def trabeculae(c: Canvas, t: dict) -> None:
    """Bone: lamellar pink beams with osteocytes; between them marrow and fat, or sarcoma."""
    tumour = t["behaviour"] == "malignant"
    if tumour:
        fascicles(c, t)
    else:
        adipose(c, t, 17)
        xy = points(c, 8)
        nuclei.lymphocytes(c, xy[at(c, fractal(c, 30), xy) > -0.1])
    field = np.abs(fractal(c, 60 if not tumour else 35))
    beam = ramp(np.float32(0.28 if not tumour else 0.2) - field, 0.04)
    layers = np.sin(field * 60) * 0.05
    paint(c, beam, 0.08, 0.85 + layers)
    xy = points(c, 15)
    xy = xy[at(c, beam, xy) > 0.9]
    paint(c, np.minimum(nuclei.stamp(c, xy, 4, 3, 0.5, 1.0), 1), 0.02, 0.1)
    nuclei.lymphocytes(c, xy)


def smear(c: Canvas, t: dict) -> None:
    """Cytology: cells on clear glass, flat and single when normal, in dark clusters when not."""
    background(c, t)
    xy = points(c, 30 if t["behaviour"] == "normal" else 10, 0.3)
    if t["behaviour"] == "normal":
        turn = c.rng.uniform(0, 3, len(xy))
        body = nuclei.stamp(c, xy, c.rng.uniform(13, 20, len(xy)), 12, turn, 0.45, rough=0.06)
        c.eosin += body * 0.8
        c.haem += 0.22 * body * (noise(c, 40) > 0)
        nuclei.epithelial(c, xy, 0, turn)
    else:
        clump = fractal(c, 36)
        xy = xy[at(c, clump, xy) > 0.45]
        c.haem += np.minimum(nuclei.stamp(c, xy, 7.5, 7, 0.0, 0.2, rough=0.05), 0.25)
        c.eosin += np.minimum(nuclei.stamp(c, xy, 8, 7, 0.0, 0.25, rough=0.05), 0.3)
        nuclei.epithelial(c, xy, t["nuclear_grade"])
