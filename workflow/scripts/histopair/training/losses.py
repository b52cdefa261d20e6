"""Loss functions of both papers."""

import torch
from torch import Tensor
from torch.nn import functional as F

from histopair.errors import InputError

HEAVIEST = 100.0  # of a rare class's positives: without a bound one sample would dominate an epoch
FOCUS, MARGIN = 4.0, 0.05  # of the asymmetric loss: gamma- and m in its paper's experiments


def task_loss(
    logits: Tensor,
    targets: Tensor,
    task: str,
    kind: str = "plain",
    shares: Tensor | None = None,
) -> Tensor:
    """Mean loss of logits (n, C) against targets; `shares` (C,) of train samples with each class.

    task "single": targets (n,) class numbers, cross-entropy (CLIP-IT Eq. 2).
    task "multi": targets (n, C) in {0, 1}, binary cross-entropy with logits, mean over n and C.
    kind: "plain"; "double-softmax", single-label alone: cross-entropy of the softmax's output as if
    it were logits (the published code of CLIP-IT; it never falls below log(1 + (C - 1) / e)); or
    against imbalance
        "positive-weight": positives weigh (1 - share) / share, at most HEAVIEST; single-label
        classes weigh 1 / share, scaled to a mean of 1 over the classes.
        "logit-adjustment": the prior's log odds (single: log share) are added to the logits while
        training, so that what is left to learn ignores the prior (Menon 2021, Eq. 10).
        "asymmetric": multi-label alone, see `asymmetric`.
    Raises InputError for a kind that the task does not have.
    """
    if task == "single":
        return _single(logits, targets, kind, shares)
    targets = targets.to(logits.dtype)
    if kind == "asymmetric":
        return asymmetric(logits, targets)
    weight = None
    if kind == "double-softmax":
        problem = "a multi-label task has no softmax"
        raise InputError(f"loss {kind!r}", problem, "Choose plain or one against imbalance")
    if kind == "positive-weight":
        weight = ((1 - shares) / shares.clamp(min=1e-12)).clamp(max=HEAVIEST)
    elif kind == "logit-adjustment":
        logits = logits + _known(shares).logit()
    return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight)


def _single(logits: Tensor, targets: Tensor, kind: str, shares: Tensor | None) -> Tensor:
    weight = None
    if kind == "positive-weight":
        weight = (1 / shares.clamp(min=1e-12)).clamp(max=HEAVIEST)
        weight = weight / weight.mean()
    elif kind == "logit-adjustment":
        logits = logits + _known(shares).log()
    elif kind == "double-softmax":
        logits = logits.softmax(1)
    elif kind != "plain":
        problem = "a single-label task has no independent negatives"
        raise InputError(
            f"loss {kind!r}", problem, "Choose plain, positive-weight, logit-adjustment"
        )
    # The mean over samples: torch's own would divide by the batch's weights, and batches differ.
    return F.cross_entropy(logits, targets, weight=weight, reduction="none").mean()


def _known(shares: Tensor) -> Tensor:
    """Shares kept off 0 and 1, whose log odds are infinite."""
    return shares.clamp(1e-6, 1 - 1e-6)


def asymmetric(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over n and C of the asymmetric loss (Ridnik 2021, Eq. 7), with gamma+ = 0.

    A positive costs -log p. A negative costs -q^FOCUS log(1 - q), where q = max(p - MARGIN, 0):
    easy negatives, of which there are most, cost nothing.
    """
    shifted = (logits.sigmoid() - MARGIN).clamp(min=0)
    negative = shifted**FOCUS * torch.log1p(-shifted)
    return -(targets * F.logsigmoid(logits) + (1 - targets) * negative).mean()


def probabilities(logits: Tensor, task: str) -> Tensor:
    """Softmax over classes for "single", a sigmoid per class for "multi"; (n, C)."""
    return logits.softmax(1) if task == "single" else logits.sigmoid()


def contrastive(image: Tensor, text: Tensor, same: Tensor, scale: Tensor) -> Tensor:
    """Symmetric contrastive loss with any number of positives per row (CLIP; Khosla 2020 Eq. 2).

    image: unit vectors (n, d); text: (m, d), m >= n. same: (n, m) True where image i and text j
    belong together, at least once in each row; a text that belongs to no image is a negative of
    all. With `same` the identity it is CLIP's loss.
    """
    logits = similarities(image, text, scale)
    positives = same.to(logits.dtype)
    matched = same.any(0)
    rows = -(positives * logits.log_softmax(1)).sum(1) / positives.sum(1)
    columns = -(positives * logits.log_softmax(0)).sum(0)[matched] / positives.sum(0)[matched]
    return (rows.mean() + columns.mean()) / 2


def similarities(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    """Scaled cosines (n, m) of unit vectors (n, d) and (m, d), in float32 at least.

    bfloat16 rounds logits near 100 by up to a quarter, so autocast is switched off here.
    """
    known = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (image, text, scale))
    image, text, scale = known
    with torch.autocast(image.device.type, enabled=False):
        return scale * image @ text.T
