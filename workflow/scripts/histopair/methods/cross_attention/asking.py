"""Each modality's attention to the other, and the classifier on top."""

import torch
from torch import Tensor, nn

from histopair.encoders.activations import split_towers
from histopair.errors import InputError


class Question(nn.Module):
    """A vector (n, d) and the other modality's tokens (n, t, e) -> the vector, informed (n, d).

    Raises InputError if the vector's width is not a multiple of the heads.
    """

    def __init__(self, width: int, tokens: int, attention_heads: int):
        super().__init__()
        if width % attention_heads:
            problem = f"{attention_heads} heads cannot share features {width} wide"
            raise InputError("attention_heads", problem, "Choose a divisor of each tower's width")
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
    """Inputs of both towers' trained blocks -> logits (n, C).

    starts: what comes before the blocks of a tower that trains wholly, by "image" and "text".
    """

    def __init__(
        self,
        image: nn.Module,
        text: nn.Module,
        asks: nn.ModuleDict,
        head: nn.Module,
        starts: nn.ModuleDict,
    ):
        super().__init__()
        self.image, self.text, self.asks, self.head = image, text, asks, head
        self.starts = starts

    def states(self, kind: str, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What the first block of a tower takes: states, of texts also which of them are words."""
        return self.starts[kind](*inputs) if kind in self.starts else inputs

    def forward(self, image: tuple[Tensor, ...], text: tuple[Tensor, ...]) -> Tensor:
        image, text = self.states("image", image), self.states("text", text)
        words, present = text
        seen = self.asks["image"](self.image(*image), words, ~present)
        read = self.asks["text"](self.text(*text), image[0])
        return self.head(torch.cat([seen, read], dim=1))


def before_blocks(
    tops: dict[str, nn.Module], blocks: dict[str, int | str]
) -> tuple[nn.ModuleDict, dict[str, nn.Module]]:
    """The starts of the towers that train wholly, and all towers' trained blocks, by kind.

    tops: of each tower what `split_towers.split` gives for its number of blocks.
    """
    starts, tops = nn.ModuleDict(), dict(tops)
    for kind, number in blocks.items():
        if number == "all":
            starts[kind], tops[kind] = split_towers.entered(tops[kind])
    return starts, tops


def questions(
    image: int, text: int, patches: int, words: int, attention_heads: int
) -> nn.ModuleDict:
    """Each modality's question to the other, from the widths of both vectors and their tokens."""
    of_image = Question(image, words, attention_heads)
    of_text = Question(text, patches, attention_heads)
    return nn.ModuleDict({"image": of_image, "text": of_text})
