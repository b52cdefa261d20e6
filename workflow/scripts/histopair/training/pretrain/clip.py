"""A CLIP of open_clip's towers, trained from scratch on a dataset's images and captions."""

import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

from histopair.files import tables
from histopair.training import contrastive_loss
from histopair.training.pretrain import turned

REQUIRES = ("model",)

PREPROCESS = {"mean": (0.7, 0.55, 0.7), "std": (0.2, 0.25, 0.2)}


def build(run):
    config = run.method["model"]
    model = open_clip.CustomTextCLIP(**config)
    size = config["vision_cfg"]["image_size"]
    pixels = run.pixels(open_clip.image_transform(size, is_train=False, **PREPROCESS))
    tokenize = open_clip.SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
    tokens = tokenize(run.captions())

    def fetch(rows):
        return {"pixels": pixels(rows), "tokens": tokens[rows].to(run.device)}

    def loss(model, batch):
        images = turned(batch["pixels"]) if model.training else batch["pixels"]
        image, text, scale = model(images, batch["tokens"])[:3]
        same = torch.eye(len(image), dtype=torch.bool, device=image.device)
        value = contrastive_loss.loss(image, text, same, scale.clamp(max=100))
        return {"loss": value, "task": value}

    yield run.stage("clip", model, fetch, loss)


def save(stage, run, folder: Path) -> None:
    """An open_clip folder, loaded as `local-dir:`."""
    save_file(stage.model.state_dict(), folder / "open_clip_model.safetensors")
    config = {**run.method["model"], "custom_text": True}
    size = config["vision_cfg"]["image_size"]
    preprocess = {key: list(value) for key, value in PREPROCESS.items()} | {"size": size}
    tables.write_text(
        folder / "open_clip_config.json",
        json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}, indent=1),
    )
