"""The votes of nearest neighbours, of a run and of its export."""

from torch import Tensor

TIE = 0.01  # small beside a vote, and far above the rounding of a hundred of them


def of_nearest(unit: Tensor, bank: Tensor, labels: Tensor, k: int) -> Tensor:
    """Votes (n, C) of the k vectors of a bank (m, d) that are most similar to unit vectors (n, d).

    labels (m, C) in {0, 1}. A vote counts 1 + TIE s / k, s its cosine: of classes with as many
    votes the one whose neighbours are more similar is ahead, and no other order changes.
    """
    similarity, nearest = (unit @ bank.T).topk(k, dim=1)
    # A map of what mattered must not follow the gradient of what only breaks ties.
    weights = 1 + TIE * similarity.detach() / k
    return (weights[:, :, None] * labels[nearest]).sum(1)
