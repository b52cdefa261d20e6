"""Encoders and datasets small enough for a test, in the layouts of the real ones."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from histopair import images
from histopair.files import tables

CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def clip_entry(folder: Path, layers: int = 1) -> dict:
    """An open_clip model with random weights, saved as `local-dir:`."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {key: {**CLIP[key], "layers": layers} for key in ("vision_cfg", "text_cfg")}
    model = open_clip.CustomTextCLIP(**CLIP | sizes)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    preprocess = {"size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    config = {"model_cfg": {**CLIP, **sizes, "custom_text": True}, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return {"name": "clip", "library": "open_clip", "model": f"local-dir:{folder}"}


def vit_entry(folder: Path, depth: int = 1) -> dict:
    """A timm backbone with random weights, saved as `local-dir:`."""
    import timm
    import torch

    torch.manual_seed(0)
    arguments = {"img_size": 32, "patch_size": 16, "embed_dim": 24, "depth": depth, "num_heads": 2}
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, **arguments)
    timm.models.save_for_hf(model, str(folder), safe_serialization=True, model_args=arguments)
    return {"name": "vit", "library": "timm", "model": f"local-dir:{folder}"}


def bert_entry(folder: Path, pooling: str = "mean", layers: int = 1) -> dict:
    """A transformers text encoder with random weights and a vocabulary of a few words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "tumour", "normal", "colon", "no"]
    (folder / "vocab.txt").write_text("\n".join(words))
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(config).eval().save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return {
        "name": "bert",
        "library": "transformers",
        "model": str(folder),
        "pooling": pooling,
        "max_length": 32,
    }


def dataset(folder: Path, n: int = 24, classes: int = 2, captions: bool = False) -> Path:
    """Images of two colours, one per class, and the labels table that cleaning would make."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(n):
        label = i % classes
        pixels = rng.integers(0, 80, (40, 40, 3)) + np.array([150, 20, 60]) * (label + 1) // classes
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{i}.png")
        split = ("train", "train", "train", "train", "val", "test")[i // 2 % 6]
        sha256 = images.digest(folder, f"images/{i}.png")
        rows.append((f"i{i}", f"images/{i}.png", sha256, f"g{i // 2}", split, [f"c{label}"]))
    columns = list(zip(*rows, strict=True))
    names = ["image_id", "path", "sha256", "group", "split", "labels"]
    table = pa.table(dict(zip(names, map(list, columns), strict=True)))
    texts = [f"{'tumour' if label[0] == 'c1' else 'normal'} colon" for label in columns[5]]
    table = table.append_column("sample_id", table.column("image_id"))
    table = table.append_column("caption", pa.array(texts if captions else [None] * n, pa.string()))
    about = {"task": "single", "classes": [f"c{i}" for i in range(classes)], "root": str(folder)}
    tables.write(folder / "labels.parquet", table, about)
    return folder / "labels.parquet"


def reports(folder: Path) -> Path:
    """Four reports, two chunks each."""
    rows = [
        (f"r{i}", f"r{i}", "colon", chunk, "diagnosis", f"{word} colon no {'tumour ' * chunk}")
        for i, word in enumerate(["tumour", "normal", "tumour", "normal"])
        for chunk in range(2)
    ]
    names = ["report_id", "group", "organ", "chunk", "section", "text"]
    table = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    table["chunk"] = pa.array(table["chunk"], pa.int32())
    tables.write(folder / "reports.parquet", pa.table(table), {})
    return folder / "reports.parquet"
