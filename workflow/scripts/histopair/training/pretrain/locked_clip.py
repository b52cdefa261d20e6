"""A retrieval CLIP from two locked towers: only its two linear projections are trained (LiT).

Each image is paired with its caption, or, with `match`, with any report whose text matches the
pattern of the image's class. Texts that match no class are then negatives of every image, so that
none of them is retrieved by chance. `match` is supervision by labels: results say so.
"""

import json
import re
from pathlib import Path

import numpy as np
import open_clip
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import normalize

from histopair import encoders, jobs
from histopair.encoders import embed
from histopair.encoders.libraries.open_clip import HERE
from histopair.errors import InputError, require_classes
from histopair.files import tables
from histopair.images import pixels
from histopair.training import contrastive_loss
from histopair.training.pretrain import draws

REQUIRES = ("towers", "model")

BATCH = 64
POOLERS = {"mean": "mean_pooler", "cls": "cls_last_hidden_state_pooler", "pooler": "cls_pooler"}


class Projections(nn.Module):
    """Tower features to unit vectors of one space, and the scale of their products."""

    def __init__(self, image_width: int, text_width: int, width: int):
        super().__init__()
        self.image = nn.Linear(image_width, width, bias=False)
        self.text = nn.Linear(text_width, width, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))

    def forward(self, image, text):
        return normalize(self.image(image), dim=1), normalize(self.text(text), dim=1)


def build(run):
    image, text = (encoders.load(run.towers[kind]) for kind in ("image", "text"))
    texts, candidates, others = _pairs(run)
    images = _image_features(run, image)
    features = torch.from_numpy(
        embed.text_features(
            text.text.to(run.device), text.tokenize, text.pad_id, texts, BATCH, run.device
        )
    )
    # Puts both kinds of features on one scale.
    image_scale, text_scale = images.std(), features.std()
    model = Projections(image.image_dim, text.text_dim, run.method["model"]["embed_dim"])
    model.scales = (image_scale, text_scale)

    def fetch(rows):
        draw = draws(run, model, rows)
        drawn = [_draw(candidates[row][1], draw) for row in rows.tolist()]
        drawn += [_draw(others, draw) for _ in drawn if len(others)]
        classes = torch.tensor([candidates[row][0] for row in rows.tolist()])
        return {
            "image": (images[rows] / image_scale).to(run.device),
            "text": (features[drawn] / text_scale).to(run.device),
            "class": classes.to(run.device),
        }

    def loss(model, batch):
        image, text = model(batch["image"], batch["text"])
        same = torch.zeros(len(image), len(text), dtype=torch.bool, device=image.device)
        same[:, : len(image)] = batch["class"][:, None] == batch["class"][None, :]
        value = contrastive_loss.loss(image, text, same, model.log_scale.exp().clamp(max=100))
        return {"loss": value, "task": value}

    yield run.stage("projections", model, fetch, loss)


def save(stage, run, folder: Path) -> None:
    """An open_clip folder with both towers inside: weights, configs and tokenizer."""
    image, text = (encoders.load(run.towers[kind]) for kind in ("image", "text"))
    _save_text_tower(run.towers["text"], folder)
    _save_image_tower(image, folder / "image")
    config = _config(run, f"local-dir:{folder}/image", str(folder))
    config.pop("custom_text")
    model = open_clip.CustomTextCLIP(**config)
    model.visual.trunk.load_state_dict(image.image.state_dict())
    _load_state(model.text.transformer, text.text.transformer.state_dict())
    image_scale, text_scale = stage.model.scales
    with torch.no_grad():
        model.visual.head.proj.weight.copy_(stage.model.image.weight / image_scale)
        model.text.proj.weight.copy_(stage.model.text.weight / text_scale)
        model.logit_scale.copy_(stage.model.log_scale)
    save_file(
        {name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    data = _transform_of(run, image)
    preprocess = {"size": data["image_size"], "mean": list(data["mean"]), "std": list(data["std"])}
    config = {"model_cfg": _config(run, HERE, HERE), "preprocess_cfg": preprocess}
    tables.write_text(folder / "open_clip_config.json", json.dumps(config, indent=1))


def _pairs(run) -> tuple[list[str], list[tuple[int, np.ndarray]], np.ndarray]:
    """Texts; each sample's class number and the texts it may take; the texts of no class."""
    match = run.method.get("match")
    if not match:
        texts = run.captions()
        return texts, [(row, np.array([row])) for row in range(len(texts))], np.array([], int)
    require_classes("train.match", match, run.about["classes"])
    corpus = pd.concat([tables.read(path, ["text"]) for path in run.artifacts["reports"]])
    texts = list(corpus["text"])
    matching = {
        label: np.flatnonzero([re.search(pattern, text, re.I) is not None for text in texts])
        for label, pattern in match.items()
    }
    for label in run.about["classes"]:
        if not len(matching.get(label, ())):
            raise InputError(
                ", ".join(run.artifacts["reports"]),
                f"no report matches the class {label!r} ({match.get(label)!r})",
                "Give `train.match` a pattern for every class of the dataset",
            )
    numbers = {label: number for number, label in enumerate(run.about["classes"])}
    first = run.samples["labels"].str[0]
    others = np.setdiff1d(np.arange(len(texts)), np.concatenate(list(matching.values())))
    return texts, [(numbers[label], matching[label]) for label in first], others


def _image_features(run, image) -> torch.Tensor:
    """Features (n, d) of all images through the preprocessing that the saved CLIP will use."""
    tower = image.image.to(run.device, memory_format=torch.channels_last)
    transform = open_clip.image_transform(is_train=False, **_transform_of(run, image))
    paths = list(run.samples["path"])
    stream = pixels.batches(run.root, paths, transform, BATCH, run.device)
    with torch.inference_mode():
        parts = [
            tower(batch.to(run.device, memory_format=torch.channels_last)).cpu()
            for batch in jobs.progress(stream, len(paths), "images", "image tower")
        ]
    return torch.cat(parts).clone()


def _draw(numbers: np.ndarray, draw: torch.Generator | None) -> int:
    return int(numbers[torch.randint(len(numbers), (), generator=draw)])


def _config(run, image: str, text: str) -> dict:
    entry = run.towers["text"]
    return {
        "embed_dim": run.method["model"]["embed_dim"],
        "custom_text": True,
        "vision_cfg": {
            "timm_model_name": image,
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": run.method["model"]["image_size"],
        },
        "text_cfg": {
            "hf_model_name": text,
            "hf_tokenizer_name": text,
            "hf_model_pretrained": False,
            "hf_proj_type": "linear",
            "hf_pooler_type": POOLERS[entry.get("pooling", "cls")],
            "context_length": entry.get("max_length", 77),
        },
    }


def _transform_of(run, image) -> dict:
    import timm

    entry = run.towers["image"]
    data = timm.data.resolve_model_data_config(image.image)
    pixels = entry.get("pixels", {})
    data |= {key: tuple(pixels[key]) for key in ("mean", "std") if key in pixels}
    return {"image_size": data["input_size"][-1], "mean": data["mean"], "std": data["std"]}


def _save_image_tower(image, folder: Path) -> None:
    import timm

    timm.models.save_for_hf(image.image, str(folder), safe_serialization=True)
    # open_clip_model.safetensors has the weights; here only the architecture is wanted.
    (folder / "model.safetensors").unlink()


def _save_text_tower(entry: dict, folder: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer

    name = entry["model"].removeprefix("local-dir:")
    options = {"local_files_only": Path(name).is_dir(), "revision": entry.get("revision", "main")}
    AutoConfig.from_pretrained(name, **options).save_pretrained(folder)
    AutoTokenizer.from_pretrained(name, **options).save_pretrained(folder)


def _load_state(module: nn.Module, state: dict) -> None:
    """Load a state; only a pooler may be left out, if the module has none."""
    wanted = module.state_dict().keys()
    extra = {name for name in state if name not in wanted and not name.startswith("pooler.")}
    if extra:
        raise ValueError(f"unexpected weights {sorted(extra)[:3]}")
    module.load_state_dict({name: value for name, value in state.items() if name in wanted})
