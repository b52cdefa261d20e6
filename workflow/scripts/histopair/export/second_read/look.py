"""How sharp an image is, how large its structures are, and its colours and textures as numbers.

All are of the pixels that the model reads. They depend on the tissue too: fat has larger structures
than lymphocytes, and glass has no edges. They tell an image apart from training images only if no
kind of them looks like that.
"""

import numpy as np

SIGMAS = 2.0 ** np.arange(0, 2.5, 0.5)  # pixels: nuclei, and not what they form together


def grey(pixels: np.ndarray) -> np.ndarray:
    """Pixels (3, h, w) -> (h, w), in the units of the model's normalisation."""
    return pixels.astype(np.float64).mean(0)


def focus(pixels: np.ndarray) -> float:
    """Logarithm of the Laplacian's variance: low if blurred (Pech-Pacheco et al. 2000)."""
    from scipy import ndimage

    return float(np.log(ndimage.laplace(grey(pixels)).var() + 1e-12))


def appearance(pixels: np.ndarray) -> np.ndarray:
    """15 numbers on colours and textures: of each channel mean, standard deviation, and how rough.

    Roughness is the logarithm of three mean absolute differences: of rows that are next to each
    other, of these differences themselves, and of rows that are 4 apart.
    """
    pixels = pixels.astype(np.float64)
    far = min(4, pixels.shape[1] - 1)
    steps = (
        np.diff(pixels, axis=1),
        np.diff(pixels, n=2, axis=1),
        pixels[:, far:] - pixels[:, :-far],
    )
    textures = [np.log(np.abs(step).mean((1, 2)) + 1e-6) for step in steps]
    return np.concatenate([pixels.mean((1, 2)), pixels.std((1, 2)), *textures])


def scale(pixels: np.ndarray) -> float:
    """Logarithm to base 2 of the size of structures in pixels: it grows with the magnification.

    The mean of log2 of sigma, weighted by the variance of the scale-normalised Laplacian of the
    Gaussian (Lindeberg 1998), over SIGMAS. Blur raises it too, because it removes small structures;
    and where nuclei have two pixels, half the magnification leaves nothing to measure.
    """
    from scipy import ndimage

    image = grey(pixels)
    sigmas = [sigma for sigma in SIGMAS if 6 * sigma <= min(image.shape)] or [SIGMAS[0]]
    energy = [(s**2 * ndimage.gaussian_laplace(image, s)).var() for s in sigmas]
    weights = np.array(energy) + 1e-12
    return float((weights * np.log2(sigmas)).sum() / weights.sum())
