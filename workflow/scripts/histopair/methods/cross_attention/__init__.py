"""Fusion by cross-attention, the multi-label paper's future work.

Before the final model's concatenation, the image's vector asks the words of the text, and the
text's vector the patches of the image (Vaswani 2017, with a residual and normalisation). Words and
patches are the states that enter the first block that trains.
"""

import torch
from torch import Tensor, nn

from histopair.errors import InputError
from histopair.training import heads

NEEDS = ("image_activations", "caption_activations")
PARAMETERS = {
    "unfreeze": {"image": 2, "text": 2},
    "layers": 4,
    "attention_heads": 4,
    "views": 1,
    "text_encoder": "",
}


class Question(nn.Module):
    """A vector (n, d) and the other modality's tokens (n, t, e) -> the vector, informed (n, d)."""

    def __init__(self, width: int, tokens: int, attention_heads: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(
            width, attention_heads, kdim=tokens, vdim=tokens, batch_first=True
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, vector: Tensor, tokens: Tensor, padding: Tensor | None = None) -> Tensor:
        tokens = tokens.to(vector.dtype)
        answer, _ = self.attention(
            vector[:, None], tokens, tokens, key_padding_mask=padding, need_weights=False
        )
        return self.norm(vector + answer[:, 0])


class CrossAttention(nn.Module):
    """Inputs of both towers' tops -> logits (n, C)."""

    def __init__(self, image: nn.Module, text: nn.Module, asks: nn.ModuleDict, head: nn.Module):
        super().__init__()
        self.image, self.text, self.asks, self.head = image, text, asks, head

    def forward(self, image: tuple[Tensor, ...], text: tuple[Tensor, ...]) -> Tensor:
        words, present = text
        seen = self.asks["image"](self.image(*image), words, ~present)
        read = self.asks["text"](self.text(*text), image[0])
        return self.head(torch.cat([seen, read], dim=1))


def questions(
    image: int, text: int, patches: int, words: int, attention_heads: int
) -> nn.ModuleDict:
    """What each modality asks the other, from the widths of both vectors and of their tokens.

    Raises InputError where a vector cannot be shared out among the heads.
    """
    for width in (image, text):
        if width % attention_heads:
            problem = f"{attention_heads} heads cannot share features {width} wide"
            raise InputError("attention_heads", problem, "Choose a divisor of both towers' widths")
    asks = {
        "image": Question(image, words, attention_heads),
        "text": Question(text, patches, attention_heads),
    }
    return nn.ModuleDict(asks)


def build(run):
    image, image_width, image_fetch = run.tower("image", run.method["unfreeze"]["image"])
    text, text_width, text_fetch = run.tower("text", run.method["unfreeze"]["text"])
    one = run.rows("train")[:1]
    patches, words = image_fetch(one)[0], text_fetch(one)[0]
    if patches.dim() != 3:
        raise InputError(
            f"encoder {run.encoder_entry['name']}",
            "a convolutional network has no tokens to attend to",
            "Take an encoder whose image tower is a transformer, or recipe: fusion_partial",
        )
    widths = image_width, text_width, patches.shape[-1], words.shape[-1]
    asks = questions(*widths, run.method["attention_heads"])
    head = heads.mlp(image_width + text_width, len(run.classes), run.method["layers"])
    model = CrossAttention(image, text, asks, head)

    def fetch(rows, *views):
        return image_fetch(rows, *views), text_fetch(rows)

    yield run.classifier(model, fetch, rates=run.rates("head", "asks"))


def predictor(run, weights):
    from histopair.export.predictor import loaded, text_encoder
    from histopair.methods.cross_attention import inference

    image = run.encoder()
    text = text_encoder(run, image)
    head = heads.mlp(image.image_dim + text.text_dim, len(run.classes), run.method["layers"])
    join = inference.described(run, image, text, weights)
    model = inference.Joined(head, image, text, join)
    loaded(model.crossed[0], weights)
    return model
