"""Loss functions of both papers."""

from torch import Tensor
from torch.nn import functional as F


def task_loss(logits: Tensor, targets: Tensor, task: str) -> Tensor:
    """Mean loss of logits (n, C) against targets.

    task "single": targets (n,) class numbers, cross-entropy (CLIP-IT Eq. 2).
    task "multi": targets (n, C) in {0, 1}, binary cross-entropy with logits, mean over n and C.
    """
    if task == "single":
        return F.cross_entropy(logits, targets)
    return F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype))


def probabilities(logits: Tensor, task: str) -> Tensor:
    """Softmax over classes for "single", a sigmoid per class for "multi"; (n, C)."""
    return logits.softmax(1) if task == "single" else logits.sigmoid()


def distillation(text: Tensor, predicted: Tensor) -> Tensor:
    """Mean of 1 - cos(t, g(v)) over the batch (CLIP-IT Eq. 3); (n, d) each.

    The target is detached: were it not, the text tower could lower the loss by collapsing.
    """
    return (1 - F.cosine_similarity(text.detach(), predicted, dim=1)).mean()


def contrastive(image: Tensor, text: Tensor, same: Tensor, scale: Tensor) -> Tensor:
    """Symmetric contrastive loss with any number of positives per row (CLIP; Khosla 2020 Eq. 2).

    image: unit vectors (n, d); text: (m, d), m >= n. same: (n, m) True where image i and text j
    belong together, at least once in each row; a text that belongs to no image is a negative of
    all. With `same` the identity it is CLIP's loss.
    """
    logits = scale * image @ text.T
    positives = same.to(logits.dtype)
    matched = same.any(0)
    rows = -(positives * logits.log_softmax(1)).sum(1) / positives.sum(1)
    columns = -(positives * logits.log_softmax(0)).sum(0)[matched] / positives.sum(0)[matched]
    return (rows.mean() + columns.mean()) / 2
