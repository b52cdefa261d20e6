"""The canvas that a tile is painted on, random fields and point processes; lengths in microns."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage


@dataclass
class Canvas:
    """Amounts of haematoxylin and eosin per pixel; x and y are pixel centres in microns."""

    haem: np.ndarray
    eosin: np.ndarray
    x: np.ndarray
    y: np.ndarray
    mpp: float
    rng: np.random.Generator

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width in microns."""
        return self.haem.shape[0] * self.mpp, self.haem.shape[1] * self.mpp


def blank(shape: tuple[int, int], mpp: float, rng: np.random.Generator) -> Canvas:
    """A canvas of clear glass."""
    y, x = (np.arange(n, dtype=np.float32) * np.float32(mpp) for n in shape)
    haem = np.zeros(shape, np.float32)
    return Canvas(
        haem, haem.copy(), np.tile(x, (shape[0], 1)), np.tile(y[:, None], shape[1]), mpp, rng
    )


def paint(c: Canvas, cover: np.ndarray, haem, eosin) -> None:
    """Cover (0 to 1 per pixel) what is there by amounts of haematoxylin and eosin."""
    c.haem += cover * (haem - c.haem)
    c.eosin += cover * (eosin - c.eosin)


def ramp(value: np.ndarray, soft: float) -> np.ndarray:
    """0 to 1 as value rises through 0 within about `soft`."""
    return np.clip(value / np.float32(soft) + np.float32(0.5), 0, 1)


def noise(c: Canvas, scale: float) -> np.ndarray:
    """A smooth random field of about unit variance whose features are about `scale` microns."""
    rows, cols = (int(np.ceil(side / scale)) + 4 for side in c.extent)
    coarse = Image.fromarray(c.rng.standard_normal((rows, cols), np.float32))
    height, width = c.haem.shape
    x0, y0 = 1 + c.rng.random(2)
    box = (x0, y0, x0 + c.extent[1] / scale, y0 + c.extent[0] / scale)
    return np.asarray(coarse.resize((width, height), Image.BICUBIC, box=box)) * np.float32(1.4)


def fractal(c: Canvas, scale: float) -> np.ndarray:
    """Noise with two finer octaves."""
    return (noise(c, scale) + 0.5 * noise(c, scale / 2) + 0.25 * noise(c, scale / 4)) / np.float32(
        1.15
    )


def fibres(
    c: Canvas, angle: float, length: float, width: float, wave: float = 3.0, period: float = 45.0
) -> tuple[np.ndarray, np.ndarray]:
    """Wavy streaks along `angle`: a field of about unit variance, and the local angle per pixel."""
    cos, sin = np.cos(angle), np.sin(angle)
    u, v = c.x * cos + c.y * sin, -c.x * sin + c.y * cos
    bend = noise(c, period) * np.float32(wave)
    phase = u * np.float32(2 * np.pi / period) + c.rng.uniform(0, 6)
    v = v + bend + np.float32(wave / 2) * np.sin(phase)
    table = c.rng.standard_normal((96, 48), np.float32)
    field = ndimage.map_coordinates(table, (v / width, u / length), order=1, mode="grid-wrap")
    slope = np.float32(wave / 2 * 2 * np.pi / period) * np.cos(phase)
    return field * np.float32(1.5), np.float32(angle) - np.arctan(slope)


def points(c: Canvas, spacing: float, jitter: float = 0.3, margin: float = 6.0) -> np.ndarray:
    """Centres (n, 2) as x, y of a hard-core process: a turned hexagonal lattice, jittered.

    Nearest neighbours keep about (1 - 2 jitter) of `spacing` apart; `margin` microns outside
    the tile are filled too.
    """
    height, width = c.extent
    reach = np.hypot(height, width) / 2 + spacing + margin
    n = int(reach / spacing) + 1
    i, j = np.mgrid[-n : n + 1, -int(n * 1.16) - 1 : int(n * 1.16) + 2].reshape(2, -1)
    grid = np.stack([i + 0.5 * (j % 2), j * np.sqrt(3) / 2], 1) * spacing
    grid += c.rng.uniform(-jitter, jitter, grid.shape) * spacing
    turn = c.rng.uniform(0, np.pi)
    cos, sin = np.cos(turn), np.sin(turn)
    xy = grid @ np.array([[cos, sin], [-sin, cos]]) + (width / 2, height / 2)
    inside = (np.abs(xy - (width / 2, height / 2)) < (width / 2 + margin, height / 2 + margin)).all(
        1
    )
    return xy[inside]


def at(c: Canvas, field: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Values of a per-pixel field at points, clamped to the border."""
    cols = np.clip((xy[:, 0] / c.mpp).astype(int), 0, field.shape[1] - 1)
    rows = np.clip((xy[:, 1] / c.mpp).astype(int), 0, field.shape[0] - 1)
    return field[rows, cols]


def cells(c: Canvas, centres: np.ndarray, spread: float = 0.0) -> np.ndarray:
    """Distance in microns from the border between the two nearest of the (weighted) centres."""
    best = np.full(c.haem.shape, np.inf, np.float32)
    second = best.copy()
    for (x, y), weight in zip(centres, c.rng.normal(0, spread, len(centres)), strict=True):
        d = np.sqrt((c.x[:1] - np.float32(x)) ** 2 + (c.y[:, :1] - np.float32(y)) ** 2)
        d += np.float32(weight)
        np.minimum(second, np.maximum(best, d), out=second)
        np.minimum(best, d, out=best)
    return (second - best) / 2
