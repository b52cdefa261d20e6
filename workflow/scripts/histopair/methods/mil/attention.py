"""Gated attention over a bag's patches (Ilse et al., ICML 2018).

A batch of bags is flat: all patches (P, d) one below the other, and each patch's bag number (P,).
No bag is padded, however different their sizes.
"""

import torch
from torch import Tensor, nn


class GatedAttention(nn.Module):
    """Patches (P, d) and their bags (P,) -> bag embeddings (bags, d): Ilse 2018 Eqs. 7 and 9.

    z = sum_k a_k h_k, with a the softmax within the bag of w' (tanh(V h_k) * sigmoid(U h_k)).
    """

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.tanh, self.gate = nn.Linear(width, hidden), nn.Linear(width, hidden)
        self.score = nn.Linear(hidden, 1)

    def weights(self, patches: Tensor, bag: Tensor, bags: int) -> Tensor:
        """Attention (P,), which sums to 1 in each bag."""
        gated = torch.tanh(self.tanh(patches)) * torch.sigmoid(self.gate(patches))
        score = self.score(gated).squeeze(1)
        highest = score.new_full((bags,), -torch.inf).scatter_reduce(0, bag, score, "amax")
        weight = (score - highest.detach()[bag]).exp()
        return weight / weight.new_zeros(bags).index_add(0, bag, weight)[bag]

    def forward(self, patches: Tensor, bag: Tensor, bags: int) -> Tensor:
        weighted = self.weights(patches, bag, bags).unsqueeze(1) * patches
        return weighted.new_zeros(bags, patches.shape[1]).index_add(0, bag, weighted)


class Bags(nn.Module):
    """Patch features (P, d) -> bag embeddings (bags, width): a projection, then attention.

    Features come as their encoder wrote them. A layer norm without parameters puts those of any
    encoder on one scale, each patch by itself, so that nothing is learnt from other patients.
    """

    def __init__(self, features: int, width: int, attention: int, dropout: float):
        super().__init__()
        self.project = nn.Sequential(
            nn.LayerNorm(features, elementwise_affine=False),
            nn.Linear(features, width),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.attention = GatedAttention(width, attention)

    def forward(self, patches: Tensor, bag: Tensor, bags: int) -> Tensor:
        return self.attention(self.project(patches), bag, bags)


def of(features: int, method: dict) -> Bags:
    """A method's attention over patches with so many features."""
    return Bags(features, method["width"], method["attention"], method["dropout"])
