"""What the page shows of several labels per image: samples, and labels that come together."""

from itertools import combinations

import numpy as np
import pandas as pd

from histopair.evaluation.tasks.labelled import truth_matrix
from histopair.pages import label_figures
from histopair.pages.thumbnails import thumbnail

SAMPLES = 6
PAIRS = 12
PIXELS = 160
CAPTION = 320  # characters shown


def samples(about: dict, chosen: pd.DataFrame) -> list[dict]:
    """Samples as in the paper's Figure 1: image, caption, labels, group."""
    names = about.get("class_names", {})
    shown = [
        {
            "source": thumbnail(about["root"], row.path, PIXELS),
            "path": row.path,
            "caption": shortened(row.caption),
            "labels": [names.get(label, label) for label in row.labels],
            "group": row.group,
        }
        for row in chosen.itertuples()
    ]
    return [sample for sample in shown if sample["source"]]


def shortened(caption: object) -> str:
    """The start of a caption, on one line; "" for none."""
    text = " ".join(caption[: 4 * CAPTION].split()) if isinstance(caption, str) else ""
    return text if len(text) <= CAPTION else text[: CAPTION - 1].rstrip() + "…"


def co_occurrence(labels: pd.DataFrame, classes: list[str]) -> dict:
    """The heat map, the most frequent pairs, and how many samples have how many labels."""
    truth = truth_matrix(labels["labels"], classes).astype(float)
    order = np.argsort(-truth.sum(0), kind="stable")
    names = [classes[i] for i in order]
    together = (truth[:, order].T @ truth[:, order]).round().astype(int)
    per_sample = truth.sum(1).astype(int)
    return {
        "plot": label_figures.co_occurrence(pd.DataFrame(together, names, names)),
        "pairs": _pairs(together, names, len(labels)),
        "shown": min(len(names), label_figures.CELLS),
        "left_out": max(0, len(names) - label_figures.CELLS),
        "labels_per_sample": [
            {"labels": int(n), "samples": int(count)}
            for n, count in enumerate(np.bincount(per_sample))
            if count
        ],
    }


def _pairs(together: np.ndarray, names: list[str], n: int) -> list[dict]:
    """The most frequent pairs; `lift` is their count over the count if labels were independent."""
    alone = together.diagonal()
    pairs = [
        {
            "first": names[i],
            "second": names[j],
            "samples": int(together[i, j]),
            "lift": together[i, j] * n / (alone[i] * alone[j]),
        }
        for i, j in combinations(range(len(names)), 2)
        if together[i, j]
    ]
    return sorted(pairs, key=lambda pair: -pair["samples"])[:PAIRS]
