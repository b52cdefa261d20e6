"""How sharp an image is and how large its structures are, on the pixels that the model reads.

Both depend on the tissue too: fat has larger structures than lymphocytes, and glass has no edges.
They tell an image apart from training images only if no kind of them looks like that.
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
