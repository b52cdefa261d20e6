"""CLIP models of open_clip: by name and `pretrained` tag, `hf-hub:` or `local-dir:`."""

import difflib
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from torch import nn

from histopair.encoders import NO_PADDING, Encoder, hub, preparation
from histopair.encoders import weights as tensors
from histopair.encoders.libraries.transformers import check_words
from histopair.encoders.repositories import Repository, offline
from histopair.encoders.weights import Refusal

KEYS = ("pretrained", "revision", "text_model", "pixels", "projected")

# Names of files of weights, in open_clip's own order of preference.
FILES = ("open_clip_model", "open_clip_pytorch_model", "model", "pytorch_model")
ON_HUB = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
# Entries of OpenAI's CLIP that are not weights.
NUMBERS = ("input_resolution", "context_length", "vocab_size")
# In a tag's config: how images are prepared.
PIXELS = ("mean", "std", "interpolation", "resize_mode")
# In a saved config: the tower's files are in the model's folder, wherever that folder is now.
LOCAL = "local-dir:"
HERE = f"{LOCAL}."
# In a config: where a text tower's config and words come from.
TEXT_KEYS = ("hf_model_name", "hf_tokenizer_name")


def load(entry: dict, weights: bool = True) -> Encoder:
    """Both towers of an open_clip model; `local-dir:` folders need no network.

    With `projected: false` the image tower alone, before the projection into the space of texts.
    Raises ValueError for a name that open_clip does not know, with the names most like it, and
    Refusal for weights that are not the model's or that the entry does not name.
    """
    import open_clip

    _check_name(entry["model"], open_clip.list_models())
    hub.check_revision(entry, entry["model"].startswith(hub.HUB))
    with _pinned(entry):
        model, preprocess = _model(entry, weights)
        tokenize = _tokenizer(entry)
    if weights:
        _check_vocabulary(model.text, tokenize)
    if "pixels" in entry and weights:
        prepared = preparation.of_open_clip(model.visual.preprocess_cfg)
        preprocess = prepared.changed(entry["pixels"]).transform()
    if not entry.get("projected", True):
        width = _unproject(model.visual)
        return Encoder(entry["name"], model.visual, preprocess, width)
    _allow_cut_tokens(model.text)
    dimension = _output_dimension(model)
    return Encoder(
        name=entry["name"],
        image=model.visual,
        preprocess=preprocess,
        image_dim=dimension,
        text=model.text,
        tokenize=tokenize,
        count=_counting(tokenize),
        context=tokenize.context_length,
        pad_id=_padding(model.text, tokenize),
        text_dim=dimension,
        scale=model.logit_scale.exp().item(),
    )


def repositories(entry: dict, weights: bool = True) -> Iterator[Repository]:
    """The model's repository, and those of a text tower whose config and words are elsewhere.

    Raises what `load` raises for a folder of another library.
    """
    name, text = entry["model"], entry.get("text_model")
    model = name.removeprefix(hub.HUB)
    if name.startswith(LOCAL):
        tensors.check_folder(Path(name.removeprefix(LOCAL)), "open_clip")
    if name.startswith(hub.HUB):
        yield Repository(model, entry.get("revision"), ON_HUB if weights else ())
    elif weights:
        yield from _of_tag(name.replace("/", "-"), entry.get("pretrained"))
    if text:
        place = text["model"].removeprefix(hub.HUB)
        elsewhere = [] if place.startswith(LOCAL) or Path(place).is_dir() else [place]
    else:
        elsewhere = [other for other in _text_repositories(entry) if other != model]
    for other in elsewhere:
        yield Repository(other, (text or {}).get("revision"))


def _of_tag(name: str, tag: str | None) -> Iterator[Repository]:
    """The repository of a model's weights by open_clip's name and tag."""
    from open_clip.pretrained import get_pretrained_cfg

    place, _, file = get_pretrained_cfg(name, tag or "").get("hf_hub", "").rpartition("/")
    if place and file.endswith(".bin"):
        yield Repository(place, weights=(f"{file[:-4]}.safetensors", file))
    elif place:
        yield Repository(place, weights=(file,) if file else ON_HUB)


def _text_repositories(entry: dict) -> list[str]:
    """The repositories that the config of a model's text tower names."""
    import open_clip

    # Words of a local model are in its folder.
    keys = ("hf_model_name",) if entry["model"].startswith(LOCAL) else TEXT_KEYS
    with offline(), _pinned(entry):
        config = open_clip.get_model_config(entry["model"]) or {}
    text = config.get("text_cfg", {})
    names = {text.get(key) or HERE for key in keys}
    return sorted(name for name in names if name != HERE and not Path(name).is_dir())


def counter(entry: dict) -> tuple[Callable[[list[str]], list[int]], int]:
    """How many tokens texts have, and how many the tower reads. Raises as `load` does."""
    import open_clip

    _check_name(entry["model"], open_clip.list_models())
    with _pinned(entry):
        tokenizer = _tokenizer(entry)
    return _counting(tokenizer), tokenizer.context_length


def configuration(entry: dict) -> dict:
    """The architecture of an entry's model, as open_clip_config.json has it."""
    import open_clip

    with _pinned(entry):
        return open_clip.get_model_config(entry["model"])


@contextmanager
def _pinned(entry: dict) -> Iterator[None]:
    """Inside, open_clip takes files of the entry's `revision`, which it has no parameter for."""
    from open_clip import factory

    download = factory.download_pretrained_from_hf
    pinned = partial(download, revision=entry.get("revision"))
    with tensors.replaced(factory, "download_pretrained_from_hf", pinned):
        yield


def _model(entry: dict, weights: bool) -> tuple:
    """The model, and the transform of its images (None without weights)."""
    import open_clip

    name = entry["model"]
    towers = {"force_custom_text": True, **_towers_in_folder(name), **_text_elsewhere(entry)}
    if weights:
        _check_tag(entry, open_clip.list_pretrained_tags_by_model)
        return _filled(name, entry.get("pretrained"), towers)
    model = open_clip.create_model(name, load_weights=False, pretrained_text=False, **towers)
    return model, None


def _text_elsewhere(entry: dict) -> dict:
    """The config of a text tower whose description is in the repository `text_model`."""
    import open_clip

    if "text_model" not in entry:
        return {}
    text = open_clip.get_model_config(entry["model"])["text_cfg"]
    if "hf_model_name" not in text:
        problem = "`text_model`: its text tower is one of open_clip, which needs no other files"
        raise Refusal(problem, "Leave it out")
    folder = str(_text_folder(entry))
    here = {"hf_model_name": folder, "hf_tokenizer_name": folder, "hf_model_pretrained": False}
    return {"text_cfg": {**text, **here}}


def _text_folder(entry: dict) -> Path:
    text = entry["text_model"]
    return hub.descriptions(text["model"], text.get("revision"))


def _tokenizer(entry: dict):
    """open_clip's tokenizer of a model, with the files of `text_model` and of `revision`."""
    import open_clip
    from open_clip import factory

    library, name = factory.HFTokenizer, entry["model"]

    def with_files(source: str, *args, **options):
        if "text_model" in entry:
            source = str(_text_folder(entry))
        elif entry.get("revision") and source == name.removeprefix(hub.HUB):
            source = str(hub.descriptions(source, entry["revision"]))
        return library(source, *args, **options)

    with tensors.replaced(factory, "HFTokenizer", with_files):
        return open_clip.get_tokenizer(name)


def _unproject(tower: nn.Module) -> int:
    """Take the projection off an image tower, in place; returns the width of what it then gives."""
    if hasattr(tower, "trunk"):
        for part in ("drop", "proj", "mlp"):
            if hasattr(tower.head, part):
                delattr(tower.head, part)
        return tower.trunk.num_features
    if getattr(tower, "proj", None) is None:
        problem = f"`projected: false`: a {type(tower).__name__} has no projection of its own"
        raise Refusal(problem, "Leave it out")
    width = tower.proj.shape[0]
    tower.proj = None
    return width


def _counting(tokenizer) -> Callable[[list[str]], list[int]]:
    """Counts tokens before cutting, by open_clip's own tokenizer or the transformers' in it."""
    if not hasattr(tokenizer, "tokenizer"):
        return lambda texts: [len(tokenizer.encode(text)) + 2 for text in texts]
    clean = getattr(tokenizer, "clean_fn", None) or _cleaned_for_siglip
    added = 3 if getattr(tokenizer, "tokenizer_mode", "") == "clips" else None
    settings = {"add_special_tokens": added is None, "verbose": False}

    def count(texts: list[str]) -> list[int]:
        rows = tokenizer.tokenizer([clean(text) for text in texts], **settings)["input_ids"]
        return [len(ids) + (added or 0) for ids in rows]

    return count


def _cleaned_for_siglip(text: str) -> str:
    from open_clip.tokenizer import basic_clean, canonicalize_text

    return canonicalize_text(basic_clean(text))


def _filled(name: str, tag: str | None, towers: dict) -> tuple:
    import open_clip
    from open_clip import factory

    loader = _loader(factory, factory.load_checkpoint)
    with (
        tensors.replaced(factory, "load_checkpoint", loader),
        tensors.replaced(factory, "_find_checkpoint_in_dir", str),  # found by the loader
        warnings.catch_warnings(),
    ):
        # Weights of one activation in a model of another.
        warnings.filterwarnings("error", message="QuickGELU mismatch")
        try:
            return open_clip.create_model_from_pretrained(
                name, pretrained=tag, weights_only=True, **towers, **_pixels_of_file(name, tag)
            )
        except UserWarning as warning:
            remedy = f"Set `model` to {name}-quickgelu, or `pretrained` to other weights"
            raise Refusal(str(warning).rstrip("."), remedy) from warning


def _pixels_of_file(name: str, tag: str | None) -> dict:
    """How images are prepared for weights in a file, where all tags of the model agree on it.

    open_clip takes OpenAI's mean and std for a file, whatever the architecture was trained with.
    """
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    name = name.replace("/", "-")
    tags = list_pretrained_tags_by_model(name)
    if ":" in name or not tags or tag in tags:
        return {}
    configs = [get_pretrained_cfg(name, other) for other in tags]
    said = [{f"image_{key}": one[key] for key in PIXELS if key in one} for one in configs]
    return said[0] if all(one == said[0] for one in said) else {}


def _loader(factory, library_load: Callable) -> Callable:
    """open_clip's own loading of a file, then a check of all tensors."""

    def load_checkpoint(model, path: str, **_) -> None:
        file = tensors.find(Path(path), FILES) if Path(path).is_dir() else Path(path)
        expected = model.state_dict()
        flat = {key.removeprefix("text."): expected[key] for key in expected}  # OpenAI's names
        state = tensors.stripped(tensors.read(file), expected | flat)
        state = {key: state[key] for key in state if key not in NUMBERS}
        before = dict(state)
        with tensors.replaced(factory, "load_state_dict", lambda *_, **__: state):
            try:
                result = library_load(model, path, strict=False)
            except Exception:
                tensors.account(model, (), (), tensors.other_shapes(model, before))
                raise
        tensors.account(model, result.missing_keys, result.unexpected_keys)
        tensors.print_resized(model, before)

    return load_checkpoint


def _check_tag(entry: dict, tags_of: Callable) -> None:
    """Raise Refusal if an entry does not say whose weights are meant, or says it twice."""
    name, tag = entry["model"], entry.get("pretrained")
    if ":" in name and tag:
        problem = f"{name} has its own weights, so `pretrained` {tag!r} is not read"
        raise Refusal(problem, "Leave out `pretrained`")
    tags = tags_of(name.replace("/", "-"))
    if ":" not in name and not (tag in tags or (tag and Path(tag).is_file())):
        wrong = f"`pretrained` {tag!r} names no weights of {name}"
        remedy = f"Set it to a file, or a tag such as {', '.join(tags[:3])}"
        raise Refusal(wrong if tag else "it needs `pretrained`", remedy)


def _check_vocabulary(tower, tokenize) -> None:
    """Raise Refusal for a tokenizer whose tokens are not the tower's, or that cannot pad.

    If no tokenizer is named, open_clip takes CLIP's word pieces, whatever the tower reads.
    """
    size, library = tower.vocab_size, getattr(tokenize, "tokenizer", None)
    if library is not None:
        check_words(library, size)
        if library.pad_token_id is None:
            problem = "its tokenizer has no padding token"
            raise Refusal(problem, "Name one as pad_token in tokenizer_config.json")
    elif tokenize.vocab_size != size:
        problem = f"CLIP's tokenizer knows {tokenize.vocab_size} tokens, and this text tower {size}"
        raise Refusal(problem, "Name its own: text_cfg.hf_tokenizer_name in open_clip_config.json")


def _padding(tower, tokenize) -> int:
    """The id of padding that may be cut: of a masked tower, or a causal one that pools its end.

    Other towers pool the last position even if it is padding (SigLIP), or read all padding.
    """
    library = getattr(tokenize, "tokenizer", None)
    if library is not None:
        library.padding_side = "right"
    pad = 0 if library is None else library.pad_token_id
    if type(tower).__name__ == "HFTextEncoder":
        tower.config.pad_token_id = pad  # it masks this id
        return pad
    causal = getattr(tower, "attn_mask", None) is not None and tower.cls_emb is None
    ends = causal and tower.pool_type in ("argmax", "eos") and pad == 0 != tower.eos_id
    return pad if ends else NO_PADDING


def _check_name(name: str, models: list[str]) -> None:
    model = name.replace("/", "-")  # as open_clip reads ViT-B/32
    if ":" in name or model in models:
        return
    folded = {other.casefold(): other for other in models}
    near = difflib.get_close_matches(model.casefold(), folded, n=3)
    near = f"; similar names are {', '.join(folded[other] for other in near)}" if near else ""
    raise ValueError(f"open_clip has no such model{near}")


def _towers_in_folder(name: str) -> dict:
    """Configs of towers from timm and transformers whose files are beside the weights."""
    if not name.startswith(LOCAL):
        return {}
    folder = Path(name.removeprefix(LOCAL))
    config = folder / "open_clip_config.json"
    model = json.loads(config.read_text())["model_cfg"] if config.is_file() else {}
    towers = {}
    if model.get("text_cfg", {}).get("hf_model_name") == HERE:
        text = {"hf_model_name": str(folder), "hf_model_pretrained": False}
        towers["text_cfg"] = {**model["text_cfg"], **text}
    if model.get("vision_cfg", {}).get("timm_model_name") == HERE:
        image = {"timm_model_name": f"{LOCAL}{folder}/image", "timm_model_pretrained": False}
        towers["vision_cfg"] = {**model["vision_cfg"], **image}
    return towers


def _allow_cut_tokens(tower) -> None:
    """Let a tower of open_clip read fewer tokens than its context, so that short texts are cheap.

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
    projection = getattr(model.visual.head, "proj", None)  # SigLIP's image tower has none
    return model.visual.trunk.num_features if projection is None else projection.out_features
