"""Towers without their weights: the files from which encoders.load makes them again.

Not beside the loaders in encoders/, so that a change here embeds and trains nothing again.
"""

import json
import logging
import shutil
from pathlib import Path

from histopair import encoders
from histopair.encoders import Encoder
from histopair.encoders.libraries.open_clip import HERE
from histopair.errors import InputError

# If no text is wanted: open_clip always builds both towers, so this one is as small as possible.
NO_TEXT = {"context_length": 1, "vocab_size": 1, "width": 8, "heads": 1, "layers": 1}
KEPT = ("name", "library", "pooling", "max_length")


def save(encoder: Encoder, entry: dict, folder: Path, parts: set[str]) -> dict:
    """Write an encoder's architecture, and its tokenizer if "text" is among `parts`, to `folder`.

    Returns the part of its config entry that `load` needs. Raises InputError for a library whose
    encoders cannot be exported.
    """
    savers = {"timm": _timm, "open_clip": _open_clip, "transformers": _transformers}
    if entry["library"] not in savers:
        problem = f"encoders of {entry['library']} cannot be exported"
        raise InputError(f"encoder {entry['name']}", problem, "Teach it to export/architectures.py")
    folder.mkdir(parents=True)
    savers[entry["library"]](encoder, entry, folder, parts)
    return {key: entry[key] for key in KEPT if key in entry}


def load(entry: dict, folder: Path) -> Encoder:
    """The encoder that `save` wrote, its weights not yet loaded."""
    logging.getLogger().addFilter(_expected)
    try:
        return encoders.load({**entry, "model": f"local-dir:{folder}"}, weights=False)
    finally:
        logging.getLogger().removeFilter(_expected)


def _expected(record: logging.LogRecord) -> bool:
    """False for open_clip's warnings that there are no weights."""
    return "CLIP weights found" not in record.msg and "initialized randomly" not in record.msg


def _timm(encoder: Encoder, entry: dict, folder: Path, parts: set[str]) -> None:
    from timm.models._hub import save_config_for_hf

    save_config_for_hf(encoder.image, str(folder / "config.json"))


def _transformers(encoder: Encoder, entry: dict, folder: Path, parts: set[str]) -> None:
    encoder.text.transformer.config.save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)


def _open_clip(encoder: Encoder, entry: dict, folder: Path, parts: set[str]) -> None:
    import open_clip

    name = entry["model"]
    config = open_clip.get_model_config(name)
    text = config["text_cfg"]
    if "text" not in parts:
        config["text_cfg"] = NO_TEXT
    elif "hf_model_name" in text:
        encoder.text.config.save_pretrained(folder)
        encoder.tokenize.save_pretrained(folder)
        config["text_cfg"] = {**text, "hf_model_name": HERE, "hf_tokenizer_name": HERE}
    if config["vision_cfg"].get("timm_model_name") == HERE:
        shutil.copytree(Path(name.removeprefix("local-dir:")) / "image", folder / "image")
    content = json.dumps({"model_cfg": config}, indent=1, sort_keys=True)
    (folder / "open_clip_config.json").write_text(content + "\n", encoding="utf-8")
