"""One label of several classes: cross-entropy of a softmax."""

import pandas as pd
from torch import Tensor
from torch.nn import functional as F

from histopair.errors import InputError
from histopair.training.tasks import labelled

EXCLUSIVE = True
PREDICTED = ("val", "test")
WHOLE = False


def targets(samples: pd.DataFrame, classes: list[str]) -> Tensor:
    """The number of each sample's class, (n,)."""
    return labelled.indicator(samples["labels"], classes).int().argmax(1)


def loss(
    logits: Tensor, targets: Tensor, kind: str = "plain", shares: Tensor | None = None
) -> Tensor:
    """Cross-entropy of logits (n, C) against class numbers (n,) (CLIP-IT Eq. 2).

    kind: "plain"; "double-softmax": cross-entropy of the softmax's output as if it were logits (the
    published code of CLIP-IT; it never falls below log(1 + (C - 1) / e)); "positive-weight":
    classes weigh 1 / share, scaled to a mean of 1 over the classes; "logit-adjustment": the log
    shares are added to the logits while training, so that the model need not learn the prior
    (Menon 2021, Eq. 10). Raises InputError for any other kind.
    """
    weight = None
    if kind == "positive-weight":
        weight = (1 / shares.clamp(min=1e-12)).clamp(max=labelled.HEAVIEST)
        weight = weight / weight.mean()
    elif kind == "logit-adjustment":
        logits = logits + labelled.bounded(shares).log()
    elif kind == "double-softmax":
        logits = logits.softmax(1)
    elif kind != "plain":
        problem = "a single-label task has no independent negatives"
        raise InputError(
            f"loss {kind!r}", problem, "Choose plain, positive-weight, logit-adjustment"
        )
    # The mean over samples: torch's own would divide by the batch's weights, and batches differ.
    return F.cross_entropy(logits, targets, weight=weight, reduction="none").mean()


def scores(logits: Tensor) -> Tensor:
    """Probabilities (n, C) that sum to 1 over the classes."""
    return logits.softmax(1)
