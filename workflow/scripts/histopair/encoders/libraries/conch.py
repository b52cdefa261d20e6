"""CONCH, through the package of its authors (github.com/mahmoodlab/CONCH).

`model` is the folder or file of its weights, or `hf-hub:MahmoodLab/conch` with access granted;
the package's own `hf_hub:` says the same.
"""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.nn.functional import pad

from histopair.encoders import Encoder, hub
from histopair.encoders import weights as tensors
from histopair.encoders.repositories import Repository

KEYS = ("projected",)

ARCHITECTURE = "conch_ViT-B-16"
# Words for a repository, of its package and of the other libraries, and the file that it reads.
PREFIXES, WEIGHTS = ("hf_hub:", hub.HUB), "pytorch_model.bin"
LENGTH = 127  # tokens that it reads; the class token takes the next and last place
# Parts that write captions; the published weights may lack them.
CAPTIONS = ("text_decoder.", "visual.attn_pool_caption.", "visual.ln_caption.")


class ImageTower(torch.nn.Module):
    """Pixels -> embeddings (n, 512), if `projected` in the space that image and text share.

    Otherwise they are those that the authors' model card names for probes: proj_contrast=False,
    normalize=False.
    """

    def __init__(self, visual: torch.nn.Module, projected: bool = True):
        super().__init__()
        self.visual, self.projected = visual, projected
        for part in ("attn_pool_caption", "ln_caption"):
            if hasattr(visual, part):
                delattr(visual, part)
        visual.use_attentional_pool_caption = False

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.projected:
            return self.visual(pixels)[0]
        return self.visual.forward_no_head(pixels, normalize=False)


class TextTower(torch.nn.Module):
    """Tokens (n, up to LENGTH) -> embeddings (n, 512).

    Tokens are padded to LENGTH, because the tower finds its class token only in the place after it.
    """

    def __init__(self, text: torch.nn.Module, pad_id: int):
        super().__init__()
        self.text, self.pad_id = text, pad_id

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.text(pad(tokens, (0, LENGTH - tokens.shape[1]), value=self.pad_id))[0]


def load(entry: dict, weights: bool = True) -> Encoder:
    """Both towers; their package always builds them with their weights.

    `projected: false` gives the image tower alone, before the projection, for a backbone.
    Raises ValueError if the package `conch` is not installed, and Refusal for other weights.
    """
    conch, place = _package(), str(_file(entry))
    with tensors.replaced(torch.nn.Module, "load_state_dict", _accounted(torch.nn.Module)):
        model, preprocess = conch.create_model_from_pretrained(ARCHITECTURE, place)
    if not entry.get("projected", True):
        image = ImageTower(model.visual, projected=False)
        return Encoder(entry["name"], image, preprocess, model.embed_dim)
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


def repositories(entry: dict, weights: bool = True) -> Iterator[Repository]:
    """The repository of its weights, if the entry names one; its package has the words."""
    if weights and (name := _on_hub(entry)):
        yield Repository(name, file=WEIGHTS)


def counter(entry: dict) -> tuple[Callable[[list[str]], list[int]], int]:
    """How many tokens texts have, and how many the tower reads."""
    return _counting(_package().get_tokenizer()), LENGTH


def _on_hub(entry: dict) -> str | None:
    """The repository that an entry names; None for a folder or a file."""
    return next((entry["model"][len(x) :] for x in PREFIXES if entry["model"].startswith(x)), None)


def _file(entry: dict) -> Path:
    """The file of weights. Raises Refusal if it is not there."""
    if name := _on_hub(entry):
        return hub.file(f"{hub.HUB}{name}/{WEIGHTS}")
    place = Path(entry["model"].removeprefix("local-dir:"))
    if not place.exists():
        raise tensors.Refusal(f"there is no {str(place)!r}", "Correct `model`, or get the file")
    return tensors.find(place, ("pytorch_model",)) if place.is_dir() else place


def _counting(tokenizer) -> Callable[[list[str]], list[int]]:
    return lambda texts: [len(ids) for ids in tokenizer(texts)["input_ids"]]


def _package():
    try:
        return importlib.import_module("conch.open_clip_custom")  # on no index, so not locked
    except ImportError as error:
        raise ValueError("its package `conch` is not installed") from error


def _accounted(module: type):
    """load_state_dict with a Refusal for tensors that do not fit, which the package ignores."""
    library_load = module.load_state_dict

    def load_state_dict(model, state, strict: bool = True, **options):
        result = library_load(model, state, strict=False, **options)
        missing = [key for key in result.missing_keys if not key.startswith(CAPTIONS)]
        unexpected = [key for key in result.unexpected_keys if not key.startswith(CAPTIONS)]
        tensors.account(model, missing, unexpected)
        return result

    return load_state_dict
