"""Retrieval corrected for hubs: each report gets a bias, and images rank similarity plus bias.

A few reports are the nearest of far too many images: of the CLIP-IT authors' 1,089 breast reports,
ten take 70.5% of PCAM. The three remedies differ only in how a report pays for being near to many
images; a term of the image alone does not change the order of its reports, and is left out.

Biases are computed from images of the train split alone, because a test image's report must not
depend on other test images. Similarities are computed block by block, and none are kept.
"""

from collections.abc import Callable, Iterable

import numpy as np

# Blocks of the similarities (n, m) of reference images to m reports; each call starts again.
Blocks = Callable[[], Iterable[np.ndarray]]


def csls(blocks: Blocks, neighbours: int = 10) -> tuple[np.ndarray, dict]:
    """Cross-domain similarity local scaling (Lample et al., ICLR 2018).

    CSLS(i, j) = 2 s_ij - r(i) - r(j), r(j) the mean similarity of j to its nearest `neighbours`
    images. Half of it, without r(i), which depends on the image alone: s_ij - r(j) / 2.
    """
    nearest = None
    for block in blocks():
        near = block.T if nearest is None else np.hstack([nearest, block.T])
        if near.shape[1] > neighbours:
            near = np.partition(near, -neighbours, axis=1)[:, -neighbours:]
        nearest = np.array(near)
    return -nearest.mean(axis=1, dtype=np.float64) / 2, {"neighbours": nearest.shape[1]}


def inverted_softmax(blocks: Blocks, temperature: float = 0.05) -> tuple[np.ndarray, dict]:
    """Inverted softmax (Smith et al., ICLR 2017; QB-Norm, Bogolin et al., CVPR 2022).

    P(i, j) = exp(s_ij / T) / sum_i' exp(s_i'j / T); its logarithm times T is
    s_ij - T log sum_i' exp(s_i'j / T).
    """
    highest = total = None
    for block in blocks():
        top = block.max(axis=0).astype(np.float64)
        top = top if highest is None else np.maximum(top, highest)
        summed = np.exp((block - top.astype(block.dtype)) / temperature).sum(axis=0, dtype=float)
        if highest is not None:
            summed += total * np.exp((highest - top) / temperature)
        highest, total = top, summed
    return -(highest + temperature * np.log(total)), {"temperature": temperature}


def sinkhorn(
    blocks: Blocks, temperature: float = 0.05, iterations: int = 100, tolerance: float = 0.01
) -> tuple[np.ndarray, dict]:
    """Entropic optimal transport between images and reports of equal weights (Cuturi, NIPS 2013).

    In the plan P = exp((s_ij + f_i + g_j) / T), f makes rows sum to 1/n and g, which is the bias,
    columns to 1/m: each report gets equally many images. Images outside the reference take the same
    g. Stops when the columns' absolute errors sum to `tolerance`, or after `iterations` passes, and
    gives the error reached.
    """
    g, error = None, np.inf
    for done in range(1, iterations + 1):
        n, columns = 0, 0.0
        for block in blocks():
            g = np.zeros(block.shape[1]) if g is None else g
            columns = columns + plan(block, g, temperature).sum(axis=0, dtype=np.float64)
            n += len(block)
        m, share = len(g), columns / n
        error = float(np.abs(share - 1 / m).sum())
        print(f"sinkhorn: pass {done}, error of the columns {error:.4f}", flush=True)
        if error <= tolerance or done == iterations:
            break
        # A column that underflows rises by a large step; the fixed point is the same.
        g = g - temperature * np.log(m * np.maximum(share, np.finfo(np.float32).tiny))
        g = g - g.max()
    return g, {"temperature": temperature, "passes": done, "marginal_error": error}


def plan(similarity: np.ndarray, g: np.ndarray, temperature: float) -> np.ndarray:
    """Rows of the plan times n, each summing to 1: how an image's weight is spread, (n, m)."""
    logits = (similarity + g.astype(similarity.dtype)) / np.asarray(temperature, similarity.dtype)
    logits -= logits.max(axis=1, keepdims=True)
    weights = np.exp(logits, out=logits)
    return np.divide(weights, weights.sum(axis=1, keepdims=True), out=weights)


BIASES = {"csls": csls, "inverted-softmax": inverted_softmax, "sinkhorn": sinkhorn}


def biases(kind: str, blocks: Blocks, settings: dict) -> tuple[np.ndarray, dict]:
    """The bias of each report, (m,), by one of BIASES, and facts about its computation."""
    bias, about = BIASES[kind](blocks, **settings)
    return bias.astype(np.float32), {"kind": kind} | about
