"""CONCH, through the package of its authors (github.com/mahmoodlab/CONCH).

`model` is the folder or file of its weights, or `hf_hub:MahmoodLab/conch` with access granted.
"""

import importlib
from collections.abc import Callable

import torch
from torch.nn.functional import pad

from histopair.encoders import Encoder

ARCHITECTURE = "conch_ViT-B-16"
LENGTH = 127  # tokens that it reads; the class token takes the next and last place


class ImageTower(torch.nn.Module):
    """Pixels -> embeddings in the space that image and text share, (n, 512)."""

    def __init__(self, visual: torch.nn.Module):
        super().__init__()
        self.visual = visual

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.visual(pixels)[0]


class TextTower(torch.nn.Module):
    """Tokens (n, up to LENGTH) -> embeddings (n, 512).

    They are padded to LENGTH: the tower appends its class token, and knows it in that place alone.
    """

    def __init__(self, text: torch.nn.Module, pad_id: int):
        super().__init__()
        self.text, self.pad_id = text, pad_id

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.text(pad(tokens, (0, LENGTH - tokens.shape[1]), value=self.pad_id))[0]


def load(entry: dict, weights: bool = True) -> Encoder:
    """Both towers; their package builds them with their weights, asked for or not.

    Raises ValueError where the package `conch` is not installed.
    """
    conch = _package()
    model, preprocess = conch.create_model_from_pretrained(ARCHITECTURE, entry["model"])
    tokenizer = conch.get_tokenizer()

    def tokens(texts: list[str]) -> torch.Tensor:
        return conch.tokenize(tokenizer, texts)[:, :LENGTH]  # without the class token's place

    return Encoder(
        name=entry["name"],
        image=ImageTower(model.visual),
        preprocess=preprocess,
        image_dim=model.embed_dim,
        text=TextTower(model.text, tokenizer.pad_token_id),
        tokenize=tokens,
        count=_counting(tokenizer),
        context=LENGTH,
        pad_id=tokenizer.pad_token_id,
        text_dim=model.embed_dim,
        scale=model.logit_scale.exp().item(),
    )


def counter(entry: dict) -> tuple[Callable[[list[str]], list[int]], int]:
    """How many tokens texts have, and how many the tower reads."""
    return _counting(_package().get_tokenizer()), LENGTH


def _counting(tokenizer) -> Callable[[list[str]], list[int]]:
    return lambda texts: [len(ids) for ids in tokenizer(texts)["input_ids"]]


def _package():
    try:
        return importlib.import_module("conch.open_clip_custom")  # no index has it: no dependency
    except ImportError as error:
        raise ValueError("its package `conch` is not installed") from error
