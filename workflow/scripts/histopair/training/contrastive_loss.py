"""The contrastive loss of a CLIP."""

import torch
from torch import Tensor


def loss(image: Tensor, text: Tensor, same: Tensor, scale: Tensor) -> Tensor:
    """Symmetric contrastive loss with any number of positives per row (CLIP; Khosla 2020 Eq. 2).

    image: unit vectors (n, d); text: (m, d), m >= n. same: (n, m) True where image i and text j
    belong together, at least once in each row; a text that belongs to no image is a negative of
    all. If `same` is the identity, this is CLIP's loss.
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
    tensors = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (image, text, scale))
    image, text, scale = tensors
    with torch.autocast(image.device.type, enabled=False):
        return scale * image @ text.T
