"""MUSK, through the package of its authors (github.com/lilab-stanford/MUSK).

`model` is `hf-hub:xiangjx/musk` with access granted, or the folder or file of its weights. The
package builds the architecture and has the words; its lenient loading of weights is not used.
"""

import copy
import importlib
import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from torch import Tensor, nn

from histopair.encoders import NO_PADDING, Encoder, hub, preparation
from histopair.encoders import weights as tensors
from histopair.encoders.libraries.transformers import check_words, counting, cutting
from histopair.encoders.repositories import Repository

KEYS = ("projected", "revision", "pixels")

WEIGHTS = "model.safetensors"
SIZE, HALF = 384, [0.5, 0.5, 0.5]  # of its card: resize, crop, mean and std
LENGTH = 100  # tokens that it reads, with start and end


class ImageTower(nn.Module):
    """Pixels (n, 3, h, w) -> (n, 1024): the class token, projected if there is a `head`."""

    def __init__(self, model: nn.Module, head: nn.Module | None):
        super().__init__()
        self.model, self.head = one_way(model, "A"), head or nn.Identity()
        del self.model.text_embed

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.model(visual_tokens=pixels)["encoder_out"][:, 0])


class TextTower(nn.Module):
    """Tokens (n, length) -> (n, 1024): the first token, projected."""

    def __init__(self, model: nn.Module, head: nn.Module):
        super().__init__()
        self.model, self.head = one_way(model, "B"), head
        del self.model.vision_embed

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = tokens == NO_PADDING
        # Padding has no embedding, so it takes that of token 0; the mask hides it.
        texts = {"textual_tokens": tokens.clamp(min=0), "text_padding_position": hidden}
        return self.head(self.model(**texts)["encoder_out"][:, 0])


def one_way(model: nn.Module, way: str) -> nn.Module:
    """A copy of BEiT-3 in which each layer of two ways, A for images and B for texts, is one.

    Both towers would otherwise be one module, and adapters of one would be the other's.
    """
    tower = copy.deepcopy(model)
    for parent in list(tower.modules()):
        for name, child in list(parent.named_children()):
            if hasattr(child, "split_position"):
                setattr(parent, name, getattr(child, way))
    return tower


def load(entry: dict, weights: bool = True) -> Encoder:
    """Both towers in the space that they share; with `projected: false` images before it, alone.

    Raises ValueError if the package `musk` is not installed, and Refusal for other weights.
    """
    model = _package().musk_large_patch16_384()
    if weights:
        state = tensors.read(_file(entry))
        tensors.fit(model, tensors.stripped(state, model.state_dict()))
    prepared = preparation.Pixels(SIZE, SIZE, "bicubic", HALF, HALF)
    preprocess = prepared.changed(entry.get("pixels", {})).transform()
    projected, width = entry.get("projected", True), model.vision_head.in_features
    image = ImageTower(model.beit3, model.vision_head if projected else None)
    if not projected:
        return Encoder(entry["name"], image, preprocess, width)
    tokenizer = _words()
    check_words(tokenizer, model.beit3.text_embed.num_embeddings)
    return Encoder(
        name=entry["name"],
        image=image,
        preprocess=preprocess,
        image_dim=width,
        text=TextTower(model.beit3, model.language_head),
        tokenize=cutting(tokenizer, LENGTH),
        count=counting(tokenizer),
        context=LENGTH,
        pad_id=NO_PADDING,
        text_dim=width,
        scale=model.logit_scale.exp().item(),
        tokenizer=tokenizer,
    )


def repositories(entry: dict, weights: bool = True) -> Iterator[Repository]:
    """The repository of its weights, if the entry names one; its package has the words."""
    hub.check_revision(entry, entry["model"].startswith(hub.HUB))
    if weights and entry["model"].startswith(hub.HUB):
        name = entry["model"].removeprefix(hub.HUB)
        yield Repository(name, entry.get("revision"), file=WEIGHTS)


def counter(entry: dict) -> tuple[Callable[[list[str]], list[int]], int]:
    """How many tokens texts have, and how many the tower reads."""
    return counting(_words()), LENGTH


def _file(entry: dict) -> Path:
    if entry["model"].startswith(hub.HUB):
        return hub.file(f"{entry['model']}/{WEIGHTS}", entry.get("revision"))
    place = Path(entry["model"].removeprefix("local-dir:"))
    return tensors.find(place, ("model",)) if place.is_dir() else place


def _words():
    """The package's word pieces, in the file name by which transformers knows them."""
    from transformers import XLMRobertaTokenizer

    pieces = Path(_package().__file__).parent / "models" / "tokenizer.spm"
    if importlib.util.find_spec("sentencepiece") is None:
        raise ValueError("its words need the package `sentencepiece`, which is not installed")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(pieces, Path(folder) / "sentencepiece.bpe.model")
        return XLMRobertaTokenizer.from_pretrained(folder, local_files_only=True)


def _package():
    try:
        return importlib.import_module("musk.modeling")  # on no index, so not locked
    except ImportError as error:
        raise ValueError(f"its package `musk` cannot be imported ({error})") from error
