"""Which samples belong together: those of one patient, video or source tile."""

import numpy as np
import pandas as pd


def numbers(group: pd.Series, image_id: pd.Series) -> np.ndarray:
    """The number of each sample's group, (n,); an image of no known group is its own.

    Lone images come before groups, each in the order of their names. Numbers may be left out.
    """
    lone, _ = pd.factorize(image_id, sort=True)
    known, _ = pd.factorize(group, sort=True)
    return np.where(known < 0, lone, len(lone) + known)
