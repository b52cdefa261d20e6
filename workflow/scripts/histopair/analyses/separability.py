"""How well embeddings separate classes, and how many directions they use; torch-free."""

import numpy as np

from histopair.files import tables

NEIGHBOURS = 5


def effective_rank(matrix: np.ndarray) -> float:
    """exp of the entropy of the normalised singular values (Roy & Vetterli 2007, Eq. 4).

    matrix: (n, d), not centred: d for orthogonal directions of equal weight, 1 where all rows
    point the same way, and 0 for zeros alone.
    """
    values = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)
    if not values.any():
        return 0.0
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def alikeness(matrix: np.ndarray) -> float | None:
    """Mean cosine between two different rows of an (n, d) matrix; None for fewer than two."""
    return cosines(matrix, matrix)[1]


def cosines(left: np.ndarray, right: np.ndarray) -> tuple[float, float | None]:
    """Mean cosine of row i of both (n, d), and of row i with every other row of the other.

    The second is the exact mean over shuffled pairs; None for fewer than two rows.
    """
    a, b = (tables.unit(side).astype(np.float64) for side in (left, right))
    n, paired = len(a), float((a * b).sum())
    shuffled = float(a.sum(0) @ b.sum(0) - paired) / (n * (n - 1)) if n > 1 else None
    return paired / n, shuffled


def knn_accuracy(vectors: np.ndarray, classes: np.ndarray, k: int = NEIGHBOURS) -> float | None:
    """Share of n points whose class has most of their k nearest other points (cosine).

    vectors: (n, d); classes: (n,) from 0. Ties go to the first class. None for n <= k.
    """
    if len(vectors) <= k:
        return None
    unit = tables.unit(vectors)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    votes = np.eye(classes.max() + 1)[classes[nearest]].sum(1)
    return float((votes.argmax(1) == classes).mean())


def silhouette(vectors: np.ndarray, classes: np.ndarray) -> float | None:
    """Mean silhouette of the classes by cosine distance, -1 to 1 (Rousseeuw 1987).

    None unless there are at least two classes, and fewer classes than points.
    """
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(classes)) < len(classes):
        return None
    return float(silhouette_score(tables.unit(vectors), classes, metric="cosine"))
