"""Towers without their weights: the files from which encoders.load makes them again.

Not beside the loaders in encoders/, so that a change here embeds and trains nothing again.
"""

import json
import logging
import shutil
from pathlib import Path

from histopair import encoders
from histopair.encoders import Encoder
from histopair.encoders.libraries import open_clip as library
from histopair.encoders.pooling import PooledTimm
from histopair.errors import InputError

# If no text is wanted: open_clip always builds both towers, so this one is as small as possible.
NO_TEXT = {"context_length": 1, "vocab_size": 1, "width": 8, "heads": 1, "layers": 1}
KEPT = ("name", "library", "pooling", "prefix_tokens", "max_length", "projected")


def save(encoder: Encoder, entry: dict, folder: Path, parts: set[str]) -> dict:
    """Write an encoder's architecture, and its tokenizer if "text" is among `parts`, to `folder`.

    Returns the part of its config entry that `load` needs. Raises InputError for a library whose
    encoders cannot be exported.
    """
    savers = {"timm": _timm, "open_clip": _open_clip, "transformers": _transformers}
    if entry["library"] not in savers:
        problem = f"encoders of {entry['library']} cannot be exported"
        raise InputError(f"encoder {entry['name']}", problem, "Teach it to export/architectures.py")
    if entry.get("remote_code"):
        problem = "it runs code of its authors, which an export does not contain"
        raise InputError(f"encoder {entry['name']}", problem, "Export another encoder's run")
    folder.mkdir(parents=True)
    savers[entry["library"]](encoder, entry, folder, parts)
    return {key: entry[key] for key in KEPT if key in entry} | _layers(entry)


def load(entry: dict, folder: Path) -> Encoder:
    """The encoder that `save` wrote, its weights not yet loaded; no other key of `entry` counts."""
    entry = {key: entry[key] for key in (*KEPT, "kwargs") if key in entry}
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

    model = encoder.image.model if isinstance(encoder.image, PooledTimm) else encoder.image
    names = _layers(entry).get("kwargs")
    save_config_for_hf(model, str(folder / "config.json"), model_args=names)


def _layers(entry: dict) -> dict:
    """The part of a timm entry that names layers by their classes, which no JSON file can hold."""
    names = {key: name for key, name in entry.get("kwargs", {}).items() if key.endswith("_layer")}
    return {"kwargs": names} if names else {}


def _transformers(encoder: Encoder, entry: dict, folder: Path, parts: set[str]) -> None:
    image, text = encoder.image, encoder.text
    config = text.transformer.config if image is None else image.described
    config.save_pretrained(folder)
    if encoder.tokenizer is not None:
        encoder.tokenizer.save_pretrained(folder)


def _open_clip(encoder: Encoder, entry: dict, folder: Path, parts: set[str]) -> None:
    name = entry["model"]
    config = library.configuration(entry)
    text = config["text_cfg"]
    if "text" not in parts:
        config["text_cfg"] = NO_TEXT
    elif "hf_model_name" in text:
        encoder.text.config.save_pretrained(folder)
        encoder.tokenize.save_pretrained(folder)
        config["text_cfg"] = {
            **text,
            "hf_model_name": library.HERE,
            "hf_tokenizer_name": library.HERE,
        }
    if config["vision_cfg"].get("timm_model_name") == library.HERE:
        shutil.copytree(Path(name.removeprefix("local-dir:")) / "image", folder / "image")
    content = json.dumps({"model_cfg": config}, indent=1, sort_keys=True)
    (folder / "open_clip_config.json").write_text(content + "\n", encoding="utf-8")
