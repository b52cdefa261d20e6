"""CLIP models of open_clip: by name and `pretrained` tag, `hf-hub:` or `local-dir:`."""

import difflib
import json
import warnings
from collections.abc import Callable
from pathlib import Path

from histopair import weights as tensors
from histopair.encoders import NO_PADDING, Encoder
from histopair.weights import Refusal

KEYS = ("pretrained",)

# In a saved config: the tower's own files lie in the model's folder, wherever that folder is now.
HERE = "local-dir:."


def load(entry: dict, weights: bool = True) -> Encoder:
    """Both towers of an open_clip model; `local-dir:` folders need no network.

    Raises ValueError for a name that open_clip does not know, with those most like it, and Refusal
    for weights that are not the model's or that the entry does not name.
    """
    import open_clip

    name = entry["model"]
    _check_name(name, open_clip.list_models())
    if name.startswith("local-dir:"):
        tensors.check_folder(Path(name.removeprefix("local-dir:")))
    towers = {"force_custom_text": True, **_towers_in_folder(name)}
    if weights:
        _check_tag(entry, open_clip.list_pretrained_tags_by_model)
        model, preprocess = _filled(name, entry.get("pretrained"), towers)
    else:
        model = open_clip.create_model(name, load_weights=False, pretrained_text=False, **towers)
        preprocess = None
    tokenize = open_clip.get_tokenizer(name)
    if weights:
        _check_vocabulary(model.text, tokenize)
    _allow_cut_tokens(model.text)
    dimension = _output_dimension(model)
    return Encoder(
        name=entry["name"],
        image=model.visual,
        preprocess=preprocess,
        image_dim=dimension,
        text=model.text,
        tokenize=tokenize,
        pad_id=_padding(model.text, tokenize),
        text_dim=dimension,
        scale=model.logit_scale.exp().item(),
    )


def _filled(name: str, tag: str | None, towers: dict) -> tuple:
    import open_clip
    from open_clip import factory

    loader = _loader(factory, factory.load_checkpoint)
    with tensors.replaced(factory, "load_checkpoint", loader), warnings.catch_warnings():
        # Weights of one activation in a model of another.
        warnings.filterwarnings("error", message="QuickGELU mismatch")
        try:
            return open_clip.create_model_from_pretrained(
                name, pretrained=tag, weights_only=True, **towers
            )
        except UserWarning as warning:
            remedy = f"Set `model` to {name}-quickgelu, or `pretrained` to other weights"
            raise Refusal(str(warning).rstrip("."), remedy) from warning


def _loader(factory, library_load: Callable) -> Callable:
    """open_clip's own loading of a file, after which all tensors are accounted for."""

    def load(model, path: str, **_) -> None:
        own = model.state_dict().keys()
        flat = {key.removeprefix("text.") for key in own}  # as OpenAI's CLIP has its text tower
        state = tensors.stripped(tensors.read(Path(path)), own | flat)
        before = dict(state)
        for number in ("input_resolution", "context_length", "vocab_size"):
            state.pop(number, None)
        with tensors.replaced(factory, "load_state_dict", lambda *_, **__: state):
            found = library_load(model, path, strict=False)
        tensors.account(model, found.missing_keys, found.unexpected_keys)
        tensors.say_resized(before, model)

    return load


def _check_tag(entry: dict, tags_of: Callable) -> None:
    """Raise Refusal where nothing, or more than one thing, says whose weights are meant."""
    name, tag = entry["model"], entry.get("pretrained")
    if ":" in name and tag:
        problem = f"{name} has weights of its own, beside which `pretrained` {tag!r} is not read"
        raise Refusal(problem, "Leave out `pretrained`")
    tags = tags_of(name.replace("/", "-"))
    if ":" not in name and not (tag in tags or (tag and Path(tag).is_file())):
        problem = (
            f"`pretrained` {tag!r} names no weights of {name}" if tag else "it needs `pretrained`"
        )
        raise Refusal(problem, f"Set it to one of {', '.join(tags) or 'the files on disk'}")


def _check_vocabulary(tower, tokenize) -> None:
    """Raise Refusal where open_clip fell back to CLIP's word pieces for a tower of other ones."""
    size = getattr(tower, "vocab_size", None)
    own = getattr(tokenize, "vocab_size", None)
    if own and size and own != size:
        problem = f"CLIP's tokenizer knows {own} tokens, and this text tower {size}"
        raise Refusal(problem, "Name its own: text_cfg.hf_tokenizer_name in open_clip_config.json")


def _padding(tower, tokenize) -> int:
    """The id of padding that may be cut: of a masked tower, or a causal one that pools its end.

    Other towers pool the last position, padding or not (SigLIP), or see all of it.
    """
    library = getattr(tokenize, "tokenizer", None)
    if library is not None:
        library.padding_side = "right"
    pad = 0 if library is None else library.pad_token_id
    if type(tower).__name__ == "HFTextEncoder":
        tower.config.pad_token_id = pad  # it masks by that
        return pad
    causal = getattr(tower, "attn_mask", None) is not None and tower.cls_emb is None
    ends = causal and tower.pool_type in ("argmax", "eos") and pad == 0 != tower.eos_id
    return pad if ends else NO_PADDING


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
