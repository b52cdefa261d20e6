"""CLIP models of open_clip: by name and `pretrained` tag, `hf-hub:` or `local-dir:`."""

import difflib
import json
from collections.abc import Callable
from pathlib import Path

from histopair.encoders import Encoder

# In a saved config: the tower's own files lie in the model's folder, wherever that folder is now.
HERE = "local-dir:."


def load(entry: dict, weights: bool = True) -> Encoder:
    """Both towers of an open_clip model; `local-dir:` folders need no network.

    Raises ValueError for a name that open_clip does not know, with those most like it.
    """
    import open_clip

    name = entry["model"]
    _check_name(name, open_clip.list_models())
    towers = {"force_custom_text": True, **_towers_in_folder(name)}
    if weights:
        tag = entry.get("pretrained")
        model, preprocess = open_clip.create_model_from_pretrained(
            name, pretrained=tag, weights_only=True, **towers
        )
    else:
        model = open_clip.create_model(name, load_weights=False, pretrained_text=False, **towers)
        preprocess = None
    _allow_cut_tokens(model.text)
    dimension = _output_dimension(model)
    tokenizer = open_clip.get_tokenizer(name)
    return Encoder(
        name=entry["name"],
        image=model.visual,
        preprocess=preprocess,
        image_dim=dimension,
        text=model.text,
        tokenize=tokenizer,
        count=_counting(tokenizer),
        context=tokenizer.context_length,
        pad_id=getattr(getattr(model.text, "config", model.text), "pad_token_id", 0) or 0,
        text_dim=dimension,
        scale=model.logit_scale.exp().item(),
    )


def counter(entry: dict) -> tuple[Callable[[list[str]], list[int]], int]:
    """How many tokens texts have, and how many the tower reads. Raises as `load` does."""
    import open_clip

    _check_name(entry["model"], open_clip.list_models())
    tokenizer = open_clip.get_tokenizer(entry["model"])
    return _counting(tokenizer), tokenizer.context_length


def _counting(tokenizer) -> Callable[[list[str]], list[int]]:
    """Tokens of texts uncut: open_clip's own tokenizer, or one of transformers within it."""
    if not hasattr(tokenizer, "tokenizer"):
        return lambda texts: [len(tokenizer.encode(text)) + 2 for text in texts]
    clean = getattr(tokenizer, "clean_fn", None) or _cleaned_for_siglip
    added = 3 if getattr(tokenizer, "tokenizer_mode", "") == "clips" else None
    settings = {"add_special_tokens": added is None, "verbose": False}

    def count(texts: list[str]) -> list[int]:
        found = tokenizer.tokenizer([clean(text) for text in texts], **settings)["input_ids"]
        return [len(ids) + (added or 0) for ids in found]

    return count


def _cleaned_for_siglip(text: str) -> str:
    from open_clip.tokenizer import basic_clean, canonicalize_text

    return canonicalize_text(basic_clean(text))


def _check_name(name: str, known: list[str]) -> None:
    own = name.replace("/", "-")  # as open_clip reads ViT-B/32
    if ":" in name or own in known:
        return
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(own.casefold(), folded, n=3)
    near = f"; similar names are {', '.join(folded[other] for other in near)}" if near else ""
    raise ValueError(f"open_clip has no such model{near}")


def _towers_in_folder(name: str) -> dict:
    """Configs of towers from timm and transformers whose files lie beside the weights."""
    if not name.startswith("local-dir:"):
        return {}
    folder = Path(name.removeprefix("local-dir:"))
    config = folder / "open_clip_config.json"
    model = json.loads(config.read_text())["model_cfg"] if config.is_file() else {}
    towers = {}
    if model.get("text_cfg", {}).get("hf_model_name") == HERE:
        text = {"hf_model_name": str(folder), "hf_model_pretrained": False}
        towers["text_cfg"] = {**model["text_cfg"], **text}
    if model.get("vision_cfg", {}).get("timm_model_name") == HERE:
        image = {"timm_model_name": f"local-dir:{folder}/image", "timm_model_pretrained": False}
        towers["vision_cfg"] = {**model["vision_cfg"], **image}
    return towers


def _allow_cut_tokens(tower) -> None:
    """Let a tower of open_clip read fewer tokens than its context: short texts are cheap then.

    Its causal mask has the size of the whole context; each call gets the corner that it needs.
    """
    whole = getattr(tower, "attn_mask", None)
    if whole is None:
        return
    tower.register_buffer("whole_mask", whole.clone(), persistent=False)

    def cut(module, inputs):
        length = inputs[0].shape[1]
        module.attn_mask = module.whole_mask[:length, :length]

    tower.register_forward_pre_hook(cut)


def _output_dimension(model) -> int:
    if hasattr(model.visual, "output_dim"):
        return model.visual.output_dim
    return model.visual.head.proj.out_features
