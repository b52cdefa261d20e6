"""A predictor's logits together with its image tower's features, in one pass."""

from torch import Tensor, nn

from histopair.encoders import embed
from histopair.export.predictor import Predictor


class Answer(nn.Module):
    """Pixels, tokens or both -> logits (n, C), and the image's features (n, d) or None."""

    def __init__(self, model: Predictor):
        super().__init__()
        self.model = model

    def forward(
        self, pixels: Tensor | None = None, tokens: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        model = self.model
        image = None if model.image is None else model.image(pixels)
        if not plain(model):
            return model(pixels, tokens), image
        text = None if model.text is None else model.text(tokens)
        return model.of_features([x for x in (image, text) if x is not None]), image


def plain(model: Predictor) -> bool:
    """Whether the towers' features are all that the head reads."""
    return type(model).forward is Predictor.forward


def tokens_of(model: Predictor, notes: list[str] | None) -> Tensor | None:
    """Tokens (n, length) of the notes; None for a model that reads none."""
    text = model.encoders.get("text")
    if text is None:
        return None
    tokens, lengths = embed.tokenize_all(text.tokenize, text.pad_id, notes)
    return tokens[:, : lengths.max()]
