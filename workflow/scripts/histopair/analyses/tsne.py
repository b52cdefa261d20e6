"""t-SNE pictures of joint and text embeddings, and how separable the classes are in full space.

CLIP-IT, Figs. 6 and 7. A picture shows neighbours but no distances, and finds clusters in noise, so
silhouette and nearest neighbours are taken in the original space.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from histopair.analyses import separability
from histopair.errors import InputError
from histopair.evaluation import tasks
from histopair.files import tables

POINTS = 1500  # at most, drawn at random
SEED = 20250416
PERPLEXITY = 30.0
ROUNDING = 2e-3  # of float16
JOINT, FROZEN, TRAINED = "image and predicted text", "texts, frozen tower", "texts, as trained"
COLUMNS = ["dataset", "encoder", "method", "lora", "what", "n"]
COLUMNS += ["n_classes", "silhouette", "knn_accuracy", "majority"]


@dataclass
class Cloud:
    """Points (n, d) of unit length, their class numbers (n,), the classes, and what they are."""

    place: dict
    vectors: np.ndarray
    numbers: np.ndarray
    classes: list[str]


def clouds(runs: list[dict]) -> list[Cloud]:
    """The distinct clouds of all runs: joint embeddings of images, and of their texts.

    runs: dicts of dataset, column, method, `lora` (whether towers were adapted) and the path
    `representations`. A joint embedding is the image's features beside the predicted text, each of
    length 1. A text, frozen or as trained, is one point, of the class that most of its images have.
    Texts that no training has touched appear once. Raises InputError for multi-label data.
    """
    distinct, seen = [], set()
    for run in runs:
        place = {"dataset": run["dataset"], "encoder": run["column"], "method": run["method"]}
        for cloud in _clouds(run["representations"], place | {"lora": run["lora"]}):
            # Methods with one pairing share the texts that no training has touched.
            same = (cloud.vectors.tobytes(), cloud.numbers.tobytes())
            if same not in seen:
                distinct.append(cloud)
            seen.add(same)
    return sorted(distinct, key=lambda cloud: cloud.place["what"] != JOINT)


def tabulate(shown: list[Cloud]) -> pd.DataFrame:
    """How separable the classes of each cloud are; majority: the share of the largest."""
    rows = [
        cloud.place
        | {
            "n": len(cloud.numbers),
            "n_classes": len(np.unique(cloud.numbers)),
            "silhouette": separability.silhouette(cloud.vectors, cloud.numbers),
            "knn_accuracy": separability.knn_accuracy(cloud.vectors, cloud.numbers),
            "majority": np.bincount(cloud.numbers).max() / len(cloud.numbers),
        }
        for cloud in shown
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def picture(vectors: np.ndarray) -> np.ndarray:
    """The points (n, d) in two dimensions, (n, 2); fewer than four keep their first two."""
    from sklearn.manifold import TSNE

    if len(vectors) < 4:
        return np.pad(vectors[:, :2], ((0, 0), (0, max(0, 2 - vectors.shape[1]))))
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    # Our own start: that from principal components is undefined if all points are alike.
    start = np.random.default_rng(SEED).normal(scale=1e-4, size=(len(vectors), 2))
    maker = TSNE(perplexity=perplexity, init=start.astype(np.float32), random_state=SEED)
    return maker.fit_transform(vectors)


def _clouds(path: str, place: dict) -> list[Cloud]:
    about = tables.about(path)
    if tasks.of(about["task"]).most_labels != 1:
        problem = "t-SNE needs a task of one label per sample, its colour"
        raise InputError(path, problem, "Choose another study")
    classes = about["classes"]
    table = tables.read(path, ["labels", "text"])
    numbers = pd.Index(classes).get_indexer(table["labels"].str[0])
    sides = [tables.matrix(path, name, normalise=True) for name in ("features", "predicted")]
    drawn = _drawn(len(table))
    joint = np.concatenate(sides, axis=1)[drawn]
    parts = [Cloud(place | {"what": JOINT}, joint, numbers[drawn], classes)]
    texts = table["text"].to_numpy()
    kept, first = np.unique(texts, return_index=True)
    most = np.array([np.bincount(numbers[texts == text]).argmax() for text in kept])
    drawn = _drawn(len(kept))
    frozen, trained = (
        tables.matrix(path, name, normalise=True)[first][drawn] for name in ("frozen", "trained")
    )
    parts.append(Cloud(place | {"what": FROZEN}, frozen, most[drawn], classes))
    if not np.allclose(frozen, trained, atol=ROUNDING):
        parts.append(Cloud(place | {"what": TRAINED}, trained, most[drawn], classes))
    return parts


def _drawn(n: int) -> np.ndarray:
    """POINTS of n row numbers, in order."""
    rng = np.random.default_rng(SEED)
    return np.sort(rng.choice(n, POINTS, replace=False)) if n > POINTS else np.arange(n)
