"""KEEP (github.com/MAGIC-AI4Med/KEEP): a timm ViT with two layers behind it, and a BERT.

`model` is a folder with its config.json, tokenizer and model.safetensors, or its name on the hub.
Its own code replaces a class of timm and does not run with today's, so the towers are built here.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from torch import Tensor, nn

from histopair.encoders import NO_PADDING, Encoder, hub, preparation
from histopair.encoders import weights as tensors
from histopair.encoders.libraries.transformers import PooledText, check_words, counting, cutting
from histopair.encoders.repositories import Repository

KEYS = ("revision", "pixels")

WEIGHTS = "model.safetensors"
LENGTH = 256  # tokens that it reads
# Keys of its vision_config that are arguments of timm's.
SIZES = ("img_size", "patch_size", "init_values", "embed_dim", "depth", "num_heads")
# KEEP's name of LayerScale's parameter, and timm's.
SCALED = re.compile(r"\.(ls[12])\.weight$")
# The model card's transform.
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class ImageTower(nn.Module):
    """Pixels (n, 3, h, w) -> (n, d) in the space of texts."""

    def __init__(self, model: nn.Module, projection: nn.Module):
        super().__init__()
        self.model, self.projection = model, projection

    def forward(self, pixels: Tensor) -> Tensor:
        return self.projection(self.model(pixels))


class Keep(nn.Module):
    """All of KEEP, under the names of its file."""

    def __init__(self, config: dict):
        import timm
        from transformers import BertConfig, BertModel

        super().__init__()
        vision, width = config["vision_config"], config["projection_dim"]
        sizes = {key: vision[key] for key in SIZES if key in vision}
        self.visual = timm.create_model("vit_large_patch16_224", num_classes=0, **sizes)
        layers = nn.Linear(self.visual.num_features, width), nn.GELU(), nn.Linear(width, width)
        self.visual_head = nn.Sequential(*layers)
        self.text = BertModel(BertConfig(**config["text_config"]))
        self.logit_scale = nn.Parameter(Tensor([0.0]).squeeze())


def load(entry: dict, weights: bool = True) -> Encoder:
    """Both towers; the text's vector is BERT's pooled output.

    Raises Refusal for weights that are not the model's, and FileNotFoundError for a folder without
    its config.
    """
    folder, config = _described(entry)
    model = Keep(config)
    if weights:
        state = tensors.read(_file(entry))
        tensors.fit(model, {SCALED.sub(r".\1.gamma", key): state[key] for key in state})
    tokenizer = _words(folder)
    check_words(tokenizer, model.text.get_input_embeddings().num_embeddings)
    size = model.visual.patch_embed.img_size[0]
    prepared = preparation.Pixels(size, size, "bicubic", MEAN, STD)
    return Encoder(
        name=entry["name"],
        image=ImageTower(model.visual, model.visual_head),
        preprocess=prepared.changed(entry.get("pixels", {})).transform(),
        image_dim=config["projection_dim"],
        text=PooledText(model.text, "pooler", NO_PADDING),
        tokenize=cutting(tokenizer, _length(config)),
        count=counting(tokenizer),
        context=_length(config),
        pad_id=NO_PADDING,
        text_dim=model.text.config.hidden_size,
        scale=model.logit_scale.exp().item(),
        tokenizer=tokenizer,
    )


def repositories(entry: dict, weights: bool = True) -> Iterator[Repository]:
    """The model's repository, unless it is a local folder."""
    name = entry["model"].removeprefix(hub.HUB)
    if not (name.startswith("local-dir:") or Path(name).is_dir()):
        yield Repository(name, entry.get("revision"), (WEIGHTS,) if weights else ())


def counter(entry: dict) -> tuple[Callable[[list[str]], list[int]], int]:
    """How many tokens texts have, and how many the tower reads."""
    folder, config = _described(entry)
    return counting(_words(folder)), _length(config)


def _described(entry: dict) -> tuple[Path, dict]:
    local = Path(entry["model"].removeprefix("local-dir:")).is_dir()
    hub.check_revision(entry, not local)
    folder = hub.descriptions(entry["model"], entry.get("revision"))
    return folder, json.loads((folder / "config.json").read_text(encoding="utf-8"))


def _file(entry: dict) -> Path:
    name = entry["model"].removeprefix("local-dir:")
    if Path(name).is_dir():
        return tensors.find(Path(name), ("model",))
    address = f"{hub.HUB}{name.removeprefix(hub.HUB)}/{WEIGHTS}"
    return hub.file(address, entry.get("revision"))


def _words(folder: Path):
    from transformers import BertTokenizer

    # AutoTokenizer would ask for the code that config.json names.
    return BertTokenizer.from_pretrained(folder, local_files_only=True)


def _length(config: dict) -> int:
    return min(LENGTH, config["text_config"].get("max_position_embeddings", LENGTH))
