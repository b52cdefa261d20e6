"""Which samples belong together: those of one patient, video or source tile."""

import numpy as np
import pandas as pd


def numbers(group: pd.Series, image_id: pd.Series) -> np.ndarray:
    """The number of each sample's group, (n,); an image without a group is its own group.

    Lone images come before groups, each in the order of their names. Numbers may have gaps.
    """
    lone, _ = pd.factorize(image_id, sort=True)
    grouped, _ = pd.factorize(group, sort=True)
    return np.where(grouped < 0, lone, len(lone) + grouped)
