"""Stain and optics: from amounts of haematoxylin and eosin to the pixels of a scanner."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

# Optical density per unit of stain in (red, green, blue), after Macenko et al., ISBI 2009.
HAEMATOXYLIN = (0.60, 0.72, 0.35)
EOSIN = (0.17, 0.86, 0.47)


class Stain(NamedTuple):
    """How one patient's slide was stained and scanned; vectors are (2, 3), per unit of H and E."""

    vectors: np.ndarray
    strength: np.ndarray
    light: np.ndarray
    blur_um: float


def sample(rng: np.random.Generator) -> Stain:
    """One slide's stain: hues turn by a few degrees, strengths vary by a fifth, focus varies."""
    vectors = np.array([HAEMATOXYLIN, EOSIN]) + rng.normal(0, 0.035, (2, 3))
    vectors = np.clip(vectors, 0.03, None)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    strength = np.exp(rng.normal(0, (0.16, 0.2), 2))
    light = np.array([0.955, 0.945, 0.96]) + rng.normal(0, 0.008, 3)
    return Stain(vectors.astype(np.float32), strength, light, float(rng.gamma(4, 0.09)))


def to_rgb(haem: np.ndarray, eosin: np.ndarray, stain: Stain) -> np.ndarray:
    """Transmitted light (h, w, 3) in [0, 1] by Beer-Lambert: light * exp(-amounts @ vectors)."""
    amounts = np.stack([haem * stain.strength[0], eosin * stain.strength[1]], -1).astype(np.float32)
    return stain.light.astype(np.float32) * np.exp(-amounts @ stain.vectors)


def photograph(rgb: np.ndarray, mpp: float, blur_um: float, rng: np.random.Generator) -> np.ndarray:
    """Pixels (h, w, 3) uint8 as a camera sees them: focus, uneven illumination, sensor noise."""
    if blur_um / mpp > 0.2:
        rgb = ndimage.gaussian_filter(rgb, (blur_um / mpp, blur_um / mpp, 0), truncate=2.5)
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in rgb.shape[:2])
    tilt_y, tilt_x, bowl = rng.normal(0, (0.008, 0.008, 0.006)).astype(np.float32)
    shade = 1 + tilt_y * y[:, None] + tilt_x * x - abs(bowl) * (y[:, None] ** 2 + x**2)
    grain = rng.standard_normal(rgb.shape, np.float32) * np.float32(0.009)
    return (np.clip(rgb * shade[..., None] + grain, 0, 1) * 255 + 0.5).astype(np.uint8)
