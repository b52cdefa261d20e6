"""The votes of nearest neighbours, of a run and of its export."""

import torch
from torch import Tensor

TIE = 0.03  # of a vote at most: no vote is outdone, and shares hardly change


def of_nearest(unit: Tensor, bank: Tensor, labels: Tensor, k: int) -> Tensor:
    """Votes (n, C) of the k vectors of a bank (m, d) that are most similar to unit vectors (n, d).

    labels (m, C) in {0, 1}. A vote counts 1 + TIE c / k, where c is 0 for the k-th neighbour and 1
    for the first, by cosine: of classes with as many votes the one whose neighbours are more
    similar is ahead, and no other order changes. Cosines themselves lie too close to each other
    for float32 (at .97, say, for all images of one stain).
    """
    similarity, nearest = (unit @ bank.T).topk(k, dim=1)
    # A map of what mattered must not follow the gradient of what only breaks ties.
    above = (similarity - similarity[:, -1:]).detach()
    closeness = above / above[:, :1].clamp(min=torch.finfo(above.dtype).tiny)
    weights = 1 + TIE * closeness / k
    return (weights[:, :, None] * labels[nearest]).sum(1)
