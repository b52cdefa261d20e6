"""Gated attention over a patient's patches, and a risk from it (Ilse et al., ICML 2018).

A batch of bags is flat: all patches (P, d) one below the other, and the number of each one's
bag (P,). No bag is padded, however different their sizes.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from histopair.training import heads


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

    Features come as their encoder wrote them; a layer norm without parameters puts those of any
    encoder on one scale, patient by patient, so that nothing is learnt from other patients.
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


class Unimodal(nn.Module):
    """Bags -> risk (bags,), a log-hazard up to a constant."""

    def __init__(self, bags: Bags, width: int):
        super().__init__()
        self.bags, self.head = bags, nn.Linear(width, 1, bias=False)

    def forward(self, patches: Tensor, bag: Tensor, bags: int) -> Tensor:
        return self.head(self.bags(patches, bag, bags)).squeeze(1)


class Distilled(nn.Module):
    """Bags -> fused risk (bags,) and the predicted text embedding g(z) (bags, d_text).

    As CLIP-IT's classifier: the text head reads g(z), and a linear layer fuses both risks, at
    first to their mean. No text is read.
    """

    def __init__(self, bags: Bags, width: int, text_head: nn.Module, text_width: int):
        super().__init__()
        self.bags, self.head = bags, nn.Linear(width, 1, bias=False)
        self.to_text, self.text_head = nn.Linear(width, text_width), text_head
        self.fusion = nn.Linear(2, 1, bias=False)
        nn.init.constant_(self.fusion.weight, 0.5)

    def forward(self, patches: Tensor, bag: Tensor, bags: int) -> tuple[Tensor, Tensor]:
        embedding = self.bags(patches, bag, bags)
        predicted = self.to_text(embedding)
        text_risk = self.text_head(normalize(predicted, dim=1))
        risks = torch.cat([self.head(embedding), text_risk], dim=1)
        return self.fusion(risks).squeeze(1), predicted


def text_risk(width: int) -> nn.Module:
    """Text embeddings (n, d) -> risk (n, 1): CLIP-IT's text head with one output."""
    return heads.text_head(width, 1)
