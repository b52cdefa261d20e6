"""How the recipe predicts: from pixels through the tower's blocks to its tokens, and the query."""

from torch import Tensor, nn

from histopair.encoders import Encoder
from histopair.encoders.activations import split_towers
from histopair.export.predictor import Predictor
from histopair.methods.attentive_probe.pooling import QueryPooling


class Joined(Predictor):
    """As Predictor, where a query pools the tokens. join: the arguments of QueryPooling."""

    recipe = "attentive_probe"

    def __init__(self, head: nn.Module, image: Encoder, join: dict):
        super().__init__(head, image=image, join=join)
        self.pooling = QueryPooling(**join)
        # In a tuple, which registers nothing: it shares the tower's parameters.
        self.blocks = (split_towers.frozen(self.image, 0),)

    def forward(self, pixels: Tensor, tokens: Tensor | None = None) -> Tensor:
        return self.head(self.pooling(*self.blocks[0](pixels)))
