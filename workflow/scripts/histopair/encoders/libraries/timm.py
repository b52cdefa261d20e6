"""Image backbones of timm: by name, `hf-hub:` or `local-dir:`, with weights by name or by file."""

import difflib
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from histopair.encoders import Encoder, hub, pooling, preparation
from histopair.encoders import weights as tensors
from histopair.encoders.conv_stem import ConvStem
from histopair.encoders.repositories import Repository
from histopair.encoders.weights import Refusal
from histopair.errors import InputError

KEYS = ("weights", "sha256", "checkpoint", "revision", "kwargs", "pooling", "pixels")

# Names of files of weights, in timm's own order of preference.
FILES = ("model", "pytorch_model", "open_clip_model", "open_clip_pytorch_model")
ON_HUB = ("model.safetensors", "pytorch_model.bin")
UNKNOWN = r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'"
# Arguments that are set here, the same for every backbone.
OURS = {"pretrained", "num_classes", "checkpoint_path", "features_only"}
# A block's name where a checkpoint keeps its blocks in chunks (DINOv2): `blocks.CHUNK.BLOCK.`.
CHUNKED = re.compile(r"((?:^|\.)blocks)\.\d+(\.\d+\.)")
# Layers that timm does not have.
OWN_LAYERS = {"ConvStem": ConvStem}
# timm knows activations and norms by its own short names.
BY_SHORT_NAME = ("act_layer", "norm_layer")


def load(entry: dict, weights: bool = True) -> Encoder:
    """A backbone that gives one vector, with its own input size, mean and standard deviation.

    `weights` (optional) is a state dict, .safetensors or .pth, with or without a classifier: a
    local file, `hf-hub:OWNER/NAME/FILE` or `https://...`; `checkpoint` says where in it the tower
    is. `kwargs` go to timm (UNI needs init_values and dynamic_img_size), layers by their class's
    name. `pooling` reads the tokens, and `pixels` sets the input of transform and tower.
    Raises Refusal for weights of another architecture and for arguments that it does not take, and
    InputError if the file of weights does not exist.
    """
    from timm.models import _builder

    filled: list = []
    with tensors.replaced(_builder, "load_pretrained", _loader(entry, filled)):
        model = _created(entry, weights)
    if weights and not filled:
        raise Refusal("timm builds this model without weights", "Choose another model")
    width = getattr(model, "head_hidden_size", model.num_features)
    transform = _transform(model, entry.get("pixels", {}))
    tokens = entry.get("pooling", "cls")
    return Encoder(
        name=entry["name"],
        image=model if tokens == "cls" else pooling.PooledTimm(model, tokens),
        preprocess=transform,
        image_dim=2 * width if tokens == "cls+mean" else width,
    )


def repositories(entry: dict, weights: bool = True) -> Iterator[Repository]:
    """The repository of the model, and that of a file of weights.

    Raises what `load` raises for a file, folder or revision that is not where the entry says.
    """
    _check_places(entry)
    file, model, revision = entry.get("weights"), entry["model"], entry.get("revision")
    if model.startswith(hub.HUB):
        name, _, pinned = model.removeprefix(hub.HUB).partition("@")
        yield Repository(name, revision or pinned or None, () if file or not weights else ON_HUB)
    elif weights and not file:
        yield from _of_timm(model)
    if weights and file and file.startswith(hub.HUB):
        name, path = hub.parts(file)
        yield Repository(name, revision, file=path)


def _of_timm(model: str) -> Iterator[Repository]:
    """The repository of one of timm's own names."""
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(model) if ":" not in model else None
    if config is None or not config.hf_hub_id:
        return
    stem, _, suffix = (config.hf_hub_filename or "").rpartition(".")
    yield Repository(
        config.hf_hub_id,
        weights=(f"{stem}.safetensors", f"{stem}.{suffix}") if stem else ON_HUB,
    )


def _check_places(entry: dict) -> None:
    """Raise an error for a file, folder or revision that is not where the entry says."""
    file, model = entry.get("weights"), entry["model"]
    if file and not hub.is_remote(file) and not Path(file).exists():
        problem = f"there is no file {str(file)!r}"
        raise InputError(f"encoder {entry['name']}", problem, "Correct `weights` in the config")
    if model.startswith("local-dir:"):
        tensors.check_folder(Path(model.removeprefix("local-dir:")), "timm")
    hub.check_revision(entry, any(x.startswith(hub.HUB) for x in (file or "", model)))
    key = entry.get("checkpoint", {}).get("key")
    if ("sha256" in entry and not file) or (key and not file and model.startswith(hub.HUB)):
        problem = "`sha256` and `checkpoint.key` are about a file, and the entry names none"
        raise Refusal(problem, "Name it in `weights`: hf-hub:OWNER/NAME/FILE, or a local one")


def _transform(model, pixels: dict) -> Callable:
    """The transform of a model, and of `pixels`; the model then takes images of that size."""
    import timm

    data = timm.data.resolve_model_data_config(model)
    if not {"size", "resize"} & pixels.keys():
        return timm.data.create_transform(**data | pixels, is_training=False)
    prepared = preparation.of_timm(data).changed(pixels)
    size, embed = (prepared.size, prepared.size), getattr(model, "patch_embed", None)
    fixed = getattr(embed, "strict_img_size", False) and hasattr(model, "set_input_size")
    if fixed and tuple(embed.img_size) != size:
        model.set_input_size(img_size=size)
        print(f"weights: positions interpolated to images of {prepared.size} pixels")
    return prepared.transform()


def _created(entry: dict, weights: bool):
    import timm

    kwargs = {key: _layer(key, value) for key, value in entry.get("kwargs", {}).items()}
    if taken := sorted(OURS & kwargs.keys()):
        raise Refusal(f"`kwargs`: {', '.join(taken)} cannot be set", "Leave it out")
    tokens, name = entry.get("pooling"), entry["model"]
    if tokens:
        kwargs["global_pool"] = "token" if tokens == "cls" else ""
    if entry.get("revision") and name.startswith(hub.HUB):
        name = f"{name}@{entry['revision']}"
    try:
        model = timm.create_model(name, pretrained=weights, num_classes=0, **kwargs)
    except TypeError as error:
        refusal = _argument(error, kwargs)
        if refusal is None:
            raise
        raise refusal from error
    if tokens:
        pooling.check_tokens(model, tokens)
    return model


def _loader(entry: dict, filled: list) -> Callable:
    """Fills a model that timm has built, in place of timm's own function, which is lenient."""

    def load_pretrained(model, pretrained_cfg: dict, filter_fn=None, **_) -> None:
        state = tensors.taken(_state(entry, pretrained_cfg), entry.get("checkpoint", {}))
        whole = _unchunked(state, model)
        state = tensors.stripped(whole, model.state_dict())
        before = dict(state)
        if filter_fn is not None:
            state = _converted(filter_fn, state | _mark_of_dinov2(whole), model)
            if "mask_token" not in model.state_dict():
                state.pop("mask_token", None)
        names = pretrained_cfg.get("classifier") or ()
        for name in (names,) if isinstance(names, str) else names:
            for key in (f"{name}.weight", f"{name}.bias"):
                state.pop(key, None)
        tensors.fit(model, state)
        tensors.print_resized(model, before)
        filled.append(model)

    return load_pretrained


def _state(entry: dict, config: dict) -> dict:
    """The state dict of an entry's own file, or of timm's file, folder, hub or address."""
    from timm.models import _builder

    key = entry.get("checkpoint", {}).get("key")
    if file := entry.get("weights"):
        remote = hub.is_remote(file)
        file = hub.file(file, entry.get("revision")) if remote else Path(file)
        file = tensors.find(file, FILES) if file.is_dir() else file
        tensors.check_sum(file, entry.get("sha256"))
        return tensors.read(file, key)
    if config.get("source") == "local-dir":
        return tensors.read(tensors.find(Path(config["file"]), FILES), key)
    if config.get("file"):
        return tensors.read(Path(config["file"]), key)
    if repository := config.get("hf_hub_id"):
        names = [config["hf_hub_filename"]] if config.get("hf_hub_filename") else []
        return _builder.load_state_dict_from_hf(repository, *names)
    if config.get("url") and not config.get("custom_load"):
        options = {"map_location": "cpu", "weights_only": True}
        return _builder.load_state_dict_from_url(config["url"], **options)
    remedy = "Give the file of its `weights`, or a name with a tag, such as resnet18.tv_in1k"
    raise Refusal("timm has no weights of this name that can be read", remedy)


def _unchunked(state: dict, model) -> dict:
    """A state dict with its blocks in one row, if the model has them so."""
    if any(CHUNKED.match(key) for key in model.state_dict()):
        return state
    return {CHUNKED.sub(r"\1\2", key): tensor for key, tensor in state.items()}


def _mark_of_dinov2(state: dict) -> dict:
    """The mask token, by which timm knows DINOv2's own names; it leaves the token out."""
    marks = [state[key] for key in state if key.split(".")[-1] == "mask_token"]
    return {"mask_token": marks[0]} if marks else {}


def _converted(convert: Callable, state: dict, model) -> dict:
    """timm's own change of names and sizes; if it fails, a Refusal names what does not fit."""
    try:
        two = len(inspect.signature(convert).parameters) > 1
        return convert(state, model) if two else convert(state)
    except Exception:
        tensors.fit(model, state)
        raise


def _layer(key: str, value: object) -> object:
    """A layer's class by name: `SwiGLUPacked`, `timm.layers.SwiGLUPacked`, `torch.nn.SiLU`."""
    if not (key.endswith("_layer") and isinstance(value, str)):
        return value
    if value in OWN_LAYERS:
        return OWN_LAYERS[value]
    place, _, name = value.rpartition(".")
    places = [place] if place in ("timm.layers", "torch.nn") else ["timm.layers", "torch.nn"]
    if place not in ("", *places) or (not place and key in BY_SHORT_NAME):
        return value
    for module in map(importlib.import_module, places):
        layer = getattr(module, name, None)
        if inspect.isclass(getattr(layer, "func", layer)):  # a class, or one with arguments
            return layer
    problem = f"`kwargs`: {key} {value!r} is not a layer of timm.layers or torch.nn"
    raise Refusal(problem, "Correct it, or leave it out")


def _argument(error: TypeError, kwargs: dict) -> Refusal | None:
    """What is wrong with the config's arguments, if they caused the error."""
    unknown = re.search(UNKNOWN, str(error))
    if unknown and unknown[2] in kwargs:
        taken = _parameters(error, unknown[1])
        near = difflib.get_close_matches(unknown[2], taken, n=3)
        near = f"; it takes {', '.join(near)}" if near else ""
        problem = f"`kwargs`: {unknown[1]} takes no {unknown[2]!r}{near}"
        return Refusal(problem, f"Correct {unknown[2]!r} in `kwargs`, or leave it out")
    texts = [f"{key}: {value}" for key, value in kwargs.items() if isinstance(value, str)]
    if texts and "not callable" in str(error):
        problem = f"`kwargs`: a class is needed instead of a text ({', '.join(texts)})"
        return Refusal(problem, "A layer can be named if the key ends in _layer")
    return None


def _parameters(error: BaseException, name: str) -> list[str]:
    """The parameters of the class `name`, from the frame that called it."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    kind = trace.tb_frame.f_locals.get("model_cls") or trace.tb_frame.f_globals.get(name)
    return list(inspect.signature(kind).parameters) if inspect.isclass(kind) else []
