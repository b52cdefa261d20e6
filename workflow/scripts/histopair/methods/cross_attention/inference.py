"""How the recipe predicts: from pixels and tokens, through both towers and their questions."""

from torch import Tensor, nn

from histopair.encoders import Encoder
from histopair.encoders.activations import split_towers
from histopair.export.predictor import Predictor
from histopair.methods.cross_attention.asking import CrossAttention, before_blocks, questions


class Joined(Predictor):
    """As Predictor, where each modality asks the other's tokens before the features are joined.

    join: `unfreeze`, how many blocks of each tower come after its tokens, and `asks`, the arguments
    of `questions`.
    """

    recipe = "cross_attention"

    def __init__(self, head: nn.Module, image: Encoder, text: Encoder, join: dict):
        super().__init__(head, image, text, join)
        self.asks = questions(**join["asks"])
        blocks = join["unfreeze"]
        kinds = ("image", "text")
        halves = {kind: split_towers.split(getattr(self, kind), blocks[kind]) for kind in kinds}
        # In a tuple, which registers nothing: the halves share the towers' parameters.
        self.frozen = tuple(halves[kind][0] for kind in kinds)
        starts, tops = before_blocks({kind: halves[kind][1] for kind in kinds}, blocks)
        self.crossed = (CrossAttention(**tops, asks=self.asks, head=self.head, starts=starts),)

    def forward(self, pixels: Tensor, tokens: Tensor) -> Tensor:
        image, text = self.frozen
        return self.crossed[0](image(pixels), text(tokens))


def described(run, image: Encoder, text: Encoder, weights: dict[str, Tensor]) -> dict:
    """The `join` of a run, as config.json keeps it."""
    asks = {
        "image": image.image_dim,
        "text": text.text_dim,
        "patches": _token_width(weights, "text"),
        "words": _token_width(weights, "image"),
        "attention_heads": run.method["attention_heads"],
    }
    return {"unfreeze": run.method["unfreeze"], "asks": asks}


def _token_width(weights: dict[str, Tensor], asking: str) -> int:
    """The width of the tokens that a modality asks; torch keeps one matrix if both are as wide."""
    attention = f"asks.{asking}.attention"
    keys = weights.get(f"{attention}.k_proj_weight", weights.get(f"{attention}.in_proj_weight"))
    if keys is None:
        raise ValueError(f"no weights of {attention}")
    return keys.shape[1]
