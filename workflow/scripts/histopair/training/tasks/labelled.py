"""What the tasks with labels share."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

HEAVIEST = 100.0  # weight of a rare class's positives, or one sample would dominate an epoch


def indicator(labels: pd.Series, classes: list[str]) -> Tensor:
    """(n, C) True where a sample has a label."""
    matrix = torch.zeros(len(labels), len(classes), dtype=torch.bool)
    columns = pd.Index(classes).get_indexer(labels.explode())
    matrix[np.repeat(np.arange(len(labels)), labels.str.len()), columns] = True
    return matrix


def bounded(shares: Tensor) -> Tensor:
    """Shares away from 0 and 1, whose log odds are infinite."""
    return shares.clamp(1e-6, 1 - 1e-6)
