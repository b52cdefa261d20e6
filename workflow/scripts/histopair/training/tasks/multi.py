"""Several labels a sample: binary cross-entropy of each class."""

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from histopair.errors import InputError
from histopair.training.tasks import labelled

EXCLUSIVE = False
PREDICTED = ("val", "test")
WHOLE = False
FOCUS, MARGIN = 4.0, 0.05  # of the asymmetric loss: gamma- and m in its paper's experiments


def targets(samples: pd.DataFrame, classes: list[str]) -> Tensor:
    """1 where a sample has a class, else 0: (n, C)."""
    return labelled.indicator(samples["labels"], classes).float()


def loss(
    logits: Tensor, targets: Tensor, kind: str = "plain", shares: Tensor | None = None
) -> Tensor:
    """Binary cross-entropy of logits (n, C) against targets (n, C) in {0, 1}, mean over n and C.

    kind: "plain"; against imbalance "positive-weight": positives weigh (1 - share) / share, at most
    labelled.HEAVIEST; "logit-adjustment": the prior's log odds are added to the logits while
    training, so that the model need not learn the prior (Menon 2021, Eq. 10); "asymmetric", see
    there. Raises InputError for "double-softmax".
    """
    targets = targets.to(logits.dtype)
    if kind == "asymmetric":
        return asymmetric(logits, targets)
    if kind == "double-softmax":
        problem = "a multi-label task has no softmax"
        raise InputError(f"loss {kind!r}", problem, "Choose plain or one against imbalance")
    weight = None
    if kind == "positive-weight":
        weight = ((1 - shares) / shares.clamp(min=1e-12)).clamp(max=labelled.HEAVIEST)
    elif kind == "logit-adjustment":
        logits = logits + labelled.bounded(shares).logit()
    return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight)


def asymmetric(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over n and C of the asymmetric loss (Ridnik 2021, Eq. 7), with gamma+ = 0.

    A positive costs -log p. A negative costs -q^FOCUS log(1 - q), where q = max(p - MARGIN, 0):
    easy negatives, by far the most, cost nothing.
    """
    shifted = (logits.sigmoid() - MARGIN).clamp(min=0)
    negative = shifted**FOCUS * torch.log1p(-shifted)
    return -(targets * F.logsigmoid(logits) + (1 - targets) * negative).mean()


def scores(logits: Tensor) -> Tensor:
    """A probability for each class, (n, C) float64: in float32 it is 1 from a logit of 17 on.

    Labels that are equally 1 tie. Of classes that exclude each other the small ones tell.
    """
    return logits.double().sigmoid()
