"""Whether words that matter are those that name the finding, against chance and other weights."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from histopair.export.read import Exported
from histopair.export.second_read import words
from histopair.phantom import lesions

MEASURES = ("top word names it", "weight on its words")


def measured(exported: Exported, randomised, cases: Iterable[dict]) -> Iterator[dict]:
    """For each case and each of its findings a dict of case, method, measure and value."""
    other = replace(exported)
    other.predictor = randomised
    for number, case in enumerate(cases):
        for method, model in (("occlusion", exported), ("occlusion, randomised model", other)):
            places, changes = words.of(model, case["pixels"], case["note"])
            for finding in case["findings"]:
                naming = named(case["note"], places, exported.config["classes"][finding])
                if not naming.any():
                    continue
                kinds = {method: changes[:, finding]}
                if model is exported:
                    kinds["chance"] = None
                for kind, weights in kinds.items():
                    for measure, value in zip(MEASURES, scores(weights, naming), strict=True):
                        yield {"case": number, "method": kind, "measure": measure, "value": value}


def named(note: str, places: list[tuple[int, int]], finding: str) -> np.ndarray:
    """Which of the words at these places are part of a phrase that names the finding."""
    phrases = lesions.named(note, finding)
    return np.array([any(a <= start < b for a, b in phrases) for start, _ in places], bool)


def scores(weights: np.ndarray | None, naming: np.ndarray) -> tuple[float, float]:
    """Whether the word of most weight names the finding, and how much of the positive weight does.

    Without weights, and if no word speaks for the finding, chance: the share of words that name it.
    """
    share = float(naming.mean())
    if weights is None or weights.max() <= 0:
        return share, share
    positive = np.clip(weights, 0, None)
    return float(naming[weights.argmax()]), float(positive[naming].sum() / positive.sum())
