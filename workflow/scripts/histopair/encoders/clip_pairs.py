"""The two towers of a CLIPModel or SiglipModel of transformers, as one vector each.

Layers keep the library's own classes; what they compute is get_image_features and
get_text_features, whose return values differ between versions of transformers.
"""

import torch
from torch import Tensor, nn

from histopair.encoders.weights import Refusal


class ImageTower(nn.Module):
    """Pixels (n, 3, h, w) -> (n, d): pooled, and projected if there is a projection."""

    def __init__(self, model: nn.Module, projection: nn.Module | None, config):
        super().__init__()
        self.model, self.projection = model, projection or nn.Identity()
        self.described = config  # of the pair

    def forward(self, pixels: Tensor) -> Tensor:
        return self.projection(self.model(pixel_values=pixels).pooler_output)


class TextTower(nn.Module):
    """Tokens (n, length) -> (n, d).

    A CLIP pools the end of the text, so that nothing reads what is after it: padding may be any
    token. A SigLIP reads all places, and its tokens are filled up to the whole context.
    """

    def __init__(self, model: nn.Module, projection: nn.Module | None):
        super().__init__()
        self.model, self.projection = model, projection or nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.projection(self.model(input_ids=tokens.clamp(min=0)).pooler_output)


def is_pair(model: nn.Module) -> bool:
    """Whether a model of transformers has an image and a text tower of the kinds known here."""
    return type(model).__name__ in ("CLIPModel", "SiglipModel")


def towers(model: nn.Module, projected: bool = True) -> tuple[ImageTower, TextTower]:
    """The image and the text tower; without `projected`, both as they are before the projection.

    Raises Refusal for a model that has no projection to leave out.
    """
    image, text = (getattr(model, f"{kind}_projection", None) for kind in ("visual", "text"))
    if not projected and image is None:
        problem = f"`projected: false`: a {type(model).__name__} projects no images"
        raise Refusal(problem, "Leave it out")
    image, text = (image, text) if projected else (None, None)
    return ImageTower(model.vision_model, image, model.config), TextTower(model.text_model, text)


def reads_padding(model: nn.Module) -> bool:
    """Whether the text tower pools the last place, so that all places must be filled."""
    return type(model).__name__ == "SiglipModel"


def end_of_text(tower: nn.Module, tokens: Tensor) -> Tensor:
    """The place of each text's end (n,), as a CLIP's text model finds it."""
    if tower.eos_token_id == 2:  # configs from before transformers named the right token
        return tokens.to(torch.int).argmax(1)
    return (tokens == tower.eos_token_id).int().argmax(1)
