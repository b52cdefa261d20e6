"""A model's findings of one image, and what they are not for."""

import numpy as np

USE = "Research use only, not for diagnosis."


def ranked(probabilities: np.ndarray, labels: list[dict]) -> list[dict]:
    """Findings from the most probable on: rank, label, name, probability; of (C,) and C labels."""
    pairs = sorted(zip(probabilities.tolist(), labels, strict=True), key=lambda pair: -pair[0])
    return [
        {"rank": rank, "label": label["label"], "name": label["name"], "probability": value}
        for rank, (value, label) in enumerate(pairs, 1)
    ]
