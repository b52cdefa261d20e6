"""Towers with a classification head, which most methods of both papers train."""

import torch
from torch import Tensor, nn

from histopair.errors import InputError


class Still(nn.Module):
    """A module that stays in evaluation mode, so that its batch statistics are frozen, too."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.module(*inputs)

    def train(self, mode: bool = True):
        super().train(mode)
        self.module.eval()
        return self


class Classifier(nn.Module):
    """A tower's features (n, d) -> logits (n, C)."""

    def __init__(self, backbone: nn.Module, head: nn.Module):
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.head(self.backbone(*inputs))


class Fusion(nn.Module):
    """Inputs of an image tower and of a text tower -> logits (n, C) from their joined features."""

    def __init__(self, image: nn.Module, text: nn.Module, join: str, head: nn.Module):
        super().__init__()
        self.image, self.text, self.join, self.head = image, text, join, head

    def forward(self, image: tuple[Tensor, ...], text: tuple[Tensor, ...]) -> Tensor:
        return self.head(joined(self.image(*image), self.text(*text), self.join))


def joined(image: Tensor, text: Tensor, fusion: str) -> Tensor:
    """Features of image (n, d) and text (n, e): "concat" gives (n, d + e), "sum" (n, d), d = e."""
    return torch.cat([image, text], dim=1) if fusion == "concat" else image + text


def joined_width(image: int, text: int, fusion: str) -> int:
    """Width of what `joined` returns. Raises InputError for a sum of two widths."""
    if fusion == "sum" and image != text:
        raise InputError(
            "fusion 'sum'",
            f"the image's features are {image} wide, the text's {text}",
            "Take the encoder of both from one CLIP, or fusion: concat",
        )
    return image + text if fusion == "concat" else image
