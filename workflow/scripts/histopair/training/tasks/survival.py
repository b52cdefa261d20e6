"""Time to an event, maybe censored: Cox's partial likelihood of one risk a sample."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from histopair.errors import InputError
from histopair.training import cox

EXCLUSIVE = False
PREDICTED = (
    "train",
    "val",
    "test",
)  # train and val risks show which test risks are high
WHOLE = True  # a patient's term is a sum over all that are at risk


def targets(samples: pd.DataFrame, classes: list[str]) -> Tensor:
    """Time, and 1 for an event or 0: (n, 2) float64."""
    return torch.from_numpy(samples[["time", "event"]].to_numpy(np.float64))


def loss(
    logits: Tensor, targets: Tensor, kind: str = "plain", shares: Tensor | None = None
) -> Tensor:
    """Negative log partial likelihood of log-hazards (n, 1), per event, of the batch's risk sets.

    kind: how to treat events at one time, "plain" (Efron) or "breslow". Raises InputError for any
    other.
    """
    if kind not in ("plain", "breslow"):
        problem = "it is a loss for labels, and survival has none"
        raise InputError(f"loss {kind!r}", problem, "Choose plain or breslow")
    ties = "breslow" if kind == "breslow" else "efron"
    return cox.loss(logits[:, 0], targets[:, 0], targets[:, 1] > 0, ties)


def scores(logits: Tensor) -> Tensor:
    """Log-hazards (n, 1), up to a constant."""
    return logits
