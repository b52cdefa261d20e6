"""Models of transformers: text encoders, image encoders, and CLIP and SigLIP pairs of both."""

import contextlib
import difflib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch.nn.utils.rnn import pad_sequence

from histopair.encoders import NO_PADDING, Encoder, clip_pairs, hub, preparation, sentences
from histopair.encoders import weights as tensors
from histopair.encoders.pooling import POOLINGS, PooledImage
from histopair.encoders.repositories import Repository
from histopair.encoders.weights import Refusal

KEYS = ("pooling", "prefix_tokens", "max_length", "pixels", "projected", "revision")
KEYS += ("architecture", "remote_code")

FILES = ("model", "pytorch_model")
ON_HUB = ("model.safetensors", "model.safetensors.index.json")
ON_HUB += ("pytorch_model.bin", "pytorch_model.bin.index.json")
SAME = 0.05  # of pixels of unit variance; another order of resize and rescale changes them by 0.005
CASED = 0.1  # share of words with capitals; CLIP's, in lower case, have 0.04
LONGEST = 512  # tokens, unless the entry says otherwise
OF_TEXTS = ("cls", "pooler", "mean")


class PooledText(torch.nn.Module):
    """A transformer's states pooled to one vector per text.

    tokens (n, length) -> (n, hidden_size); `pooling` is "cls", the first of the last hidden states,
    "pooler", that state through the model's own dense layer and tanh (BioBERT's pooled output), or
    "mean" over the tokens that are not padding (sentence-transformers). A pooler that is not read
    is left out, because no adapter of it could learn.
    """

    def __init__(self, transformer: torch.nn.Module, pooling: str, pad_id: int):
        super().__init__()
        self.transformer, self.pooling, self.pad_id = transformer, pooling, pad_id
        if pooling != "pooler" and getattr(transformer, "pooler", None) is not None:
            transformer.pooler = None

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        mask = (tokens != self.pad_id).long()
        # Padding has no embedding, so it takes that of token 0; the mask hides it.
        output = self.transformer(input_ids=tokens.clamp(min=0), attention_mask=mask)
        if self.pooling == "pooler":
            return output.pooler_output
        states = output.last_hidden_state
        if self.pooling == "cls":
            return states[:, 0]
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def load(entry: dict, weights: bool = True) -> Encoder:
    """The towers of a model; a `model` that is a local folder is never looked up on a hub.

    Texts are padded on the right with an id that no token has, whatever the tokenizer's own
    padding. Raises FileNotFoundError for a folder that does not exist; Refusal for weights that are
    not the model's, a model of another kind, a tokenizer without its words, and code that the
    entry does not allow.
    """
    place = _place(entry)
    if place.local:
        tensors.check_folder(Path(place.name), "transformers")
    try:
        shape, config = _shape(place, place.local or not weights)
        kind = _kind(shape, config)
        _check_pooling(entry, kind, hasattr(shape, "pooler"))
        model = _filled(place, shape, config, entry.get("pooling", "cls"), weights)
        return {"text": _text, "image": _image, "pair": _pair}[kind](entry, place, model, weights)
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        problem = f"{place.name} brings its own code, which is not run"
        remedy = (
            "Choose a model of a class that transformers has; or read the code of a commit, and "
            "set `remote_code: true` and `revision` to that commit's 40 digits"
        )
        raise Refusal(problem, remedy) from error


def repositories(entry: dict, weights: bool = True) -> Iterator[Repository]:
    """The model's repository, unless it is a local folder."""
    place = _place(entry)
    if not place.local:
        yield Repository(place.name, place.revision, ON_HUB if weights else (), code=place.code)


def _text(entry: dict, place: "Place", model: torch.nn.Module, weights: bool) -> Encoder:
    described = hub.descriptions(place.name, place.revision)
    sentences.require_pooling(entry, described)
    entry = sentences.with_length(entry, described)
    tokenizer = _tokenizer(place, model)
    length = _length(entry, tokenizer, model)
    return Encoder(
        name=entry["name"],
        text=PooledText(model, entry.get("pooling", "cls"), NO_PADDING),
        tokenize=cutting(tokenizer, length),
        count=counting(tokenizer),
        context=length,
        pad_id=NO_PADDING,
        text_dim=model.config.hidden_size,
        tokenizer=tokenizer,
    )


def _image(entry: dict, place: "Place", model: torch.nn.Module, weights: bool) -> Encoder:
    pooling, width = entry.get("pooling", "cls"), getattr(model.config, "hidden_size", 0)
    prefix = entry.get("prefix_tokens", _prefix(model))
    if prefix == 0 and "cls" in pooling:
        problem = f"`pooling` {pooling!r}: {type(model).__name__} has no class token"
        raise Refusal(problem, "Set `pooling` to mean or pooler, or `prefix_tokens` if it has one")
    return Encoder(
        name=entry["name"],
        image=PooledImage(model, pooling, prefix),
        preprocess=_transform(entry, place) if weights else None,
        image_dim=2 * width if pooling == "cls+mean" else width,
    )


def _prefix(model: torch.nn.Module) -> int:
    """How many tokens stand before the patches: class token, distillation token, registers."""
    parts = getattr(model, "embeddings", None)
    names = ("cls_token", "class_embedding", "distillation_token")
    tokens = sum(getattr(parts, name, None) is not None for name in names)
    return tokens + (getattr(model.config, "num_register_tokens", 0) or 0)


def _pair(entry: dict, place: "Place", model: torch.nn.Module, weights: bool) -> Encoder:
    """Both towers; with `projected: false` the image tower alone, before the projection."""
    preprocess = _transform(entry, place) if weights else None
    projected = entry.get("projected", True)
    image, text = clip_pairs.towers(model, projected)
    width = model.vision_model.config.hidden_size
    if not projected:
        return Encoder(entry["name"], image, preprocess, width)
    tokenizer = _tokenizer(place, model.text_model)
    length = _length(entry, tokenizer, model.text_model)
    whole = clip_pairs.reads_padding(model)
    dimension = getattr(model, "projection_dim", width)
    return Encoder(
        name=entry["name"],
        image=image,
        preprocess=preprocess,
        image_dim=dimension,
        text=text,
        tokenize=_filling(tokenizer, length) if whole else cutting(tokenizer, length),
        count=counting(tokenizer),
        context=length,
        pad_id=NO_PADDING,
        text_dim=dimension,
        scale=model.logit_scale.exp().item(),
        tokenizer=tokenizer,
    )


def cutting(tokenizer, length: int) -> Callable[[list[str]], torch.Tensor]:
    """Texts -> tokens of at most `length`, padded with an id that no token has."""

    def tokenize(texts: list[str]) -> torch.Tensor:
        ids = tokenizer(texts, truncation=True, max_length=length)["input_ids"]
        rows = [torch.tensor(row, dtype=torch.long) for row in ids]
        return pad_sequence(rows, batch_first=True, padding_value=NO_PADDING)

    return tokenize


def _filling(tokenizer, length: int) -> Callable[[list[str]], torch.Tensor]:
    """Texts -> exactly `length` tokens each, padded as the tokenizer does."""
    options = {"truncation": True, "padding": "max_length", "max_length": length}
    return lambda texts: torch.tensor(tokenizer(texts, **options)["input_ids"])


def counter(entry: dict) -> tuple[Callable[[list[str]], list[int]], int]:
    """How many tokens texts have, and how many the tower reads. Raises as `load` does."""
    place = _place(entry)
    shape, config = _shape(place, place.local)
    if _kind(shape, config) == "image":
        problem = f"a {type(shape).__name__} reads images and no texts"
        raise Refusal(problem, "Choose an encoder with a text tower")
    if clip_pairs.is_pair(shape):
        shape = shape.text_model
    else:
        entry = sentences.with_length(entry, hub.descriptions(place.name, place.revision))
    tokenizer = _tokenizer(place, shape)
    return counting(tokenizer), _length(entry, tokenizer, shape)


def counting(tokenizer) -> Callable[[list[str]], list[int]]:
    return lambda texts: [len(ids) for ids in tokenizer(texts, verbose=False)["input_ids"]]


@dataclass(frozen=True)
class Place:
    """What transformers calls a model, whether that is a local folder, its commit, its class.

    kind: the class of transformers that reads its files, if not the one that they name. code:
    whether the code that it brings may run.
    """

    name: str
    local: bool
    revision: str | None
    kind: str | None
    code: bool

    def options(self, local: bool | None = None) -> dict:
        files = self.local if local is None else local
        pinned = {"revision": self.revision} if self.revision else {}
        return {"local_files_only": files, "trust_remote_code": self.code, **pinned}


def _place(entry: dict) -> Place:
    name = entry["model"].removeprefix("local-dir:").removeprefix(hub.HUB)
    local, revision = Path(name).is_dir(), entry.get("revision")
    if not local and (entry["model"].startswith("local-dir:") or _is_path(name)):
        raise FileNotFoundError(f"the folder {name} does not exist")
    hub.check_revision(entry, not local)
    code = entry.get("remote_code", False)
    if code and not local and not hub.COMMIT.fullmatch(revision or ""):
        problem = f"`remote_code` needs a commit of 40 digits, and `revision` is {revision!r}"
        remedy = "Read the code of a commit, and set `revision` to it: a branch changes"
        raise Refusal(problem, remedy)
    return Place(name, local, revision, entry.get("architecture"), code)


def _check_code(place: Place) -> None:
    """Raise Refusal for code of another repository, which can change after somebody read it."""
    from transformers import PretrainedConfig

    pinned = {"revision": place.revision} if place.revision else {}
    config, _ = PretrainedConfig.get_config_dict(place.name, local_files_only=place.local, **pinned)
    elsewhere = [name for name in (config.get("auto_map") or {}).values() if "--" in str(name)]
    if elsewhere:
        problem = f"its code is in another repository ({elsewhere[0]}), which nothing pins"
        raise Refusal(problem, "Copy that code into a local folder with the model")


def _shape(place: Place, local: bool) -> tuple[torch.nn.Module, object]:
    """The model without its tensors, and its config."""
    from transformers import AutoConfig, AutoModel, PretrainedConfig

    if place.code:
        _check_code(place)
    if place.kind:
        kind = _class(place.kind)
        options = place.options(local) | {"trust_remote_code": False}
        content, _ = PretrainedConfig.get_config_dict(place.name, **options)
        config = kind.config_class.from_dict(content)
        with torch.device("meta"):
            return kind(config), config
    config = AutoConfig.from_pretrained(place.name, **place.options(local))
    # Code of others may compute with its tensors when it is built.
    with contextlib.nullcontext() if place.code else torch.device("meta"):
        return AutoModel.from_config(config, trust_remote_code=place.code), config


def _class(name: str) -> type:
    """A model's class of transformers. Raises Refusal for another name, with those most like it."""
    import transformers

    kind = getattr(transformers, name, None)
    if isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel):
        return kind
    models = [other for other in dir(transformers) if other.endswith("Model")]
    near = difflib.get_close_matches(name, models, n=3)
    near = f"; similar names are {', '.join(near)}" if near else ""
    raise Refusal(f"`architecture`: transformers has no model {name!r}{near}", "Correct it")


def _filled(
    place: Place, shape: torch.nn.Module, config, pooling: str, weights: bool
) -> torch.nn.Module:
    """The model with all of its weights, and without its pooler unless that is read."""
    kind, options = type(shape), {}
    if "add_pooling_layer" in inspect.signature(kind.__init__).parameters:
        options = {"add_pooling_layer": pooling == "pooler"}
    if not weights:
        return kind(config, **options)
    options |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
    options |= {"dtype": torch.float32}
    if place.local:
        file = tensors.find(Path(place.name), FILES)
        state = tensors.stripped(tensors.read(file), shape.state_dict())
        if pooling != "pooler":
            state = {key: state[key] for key in state if not key.startswith("pooler.")}
        model, report = kind.from_pretrained(None, state_dict=state, config=config, **options)
    else:
        model, report = kind.from_pretrained(place.name, **place.options(), **options)
    _account(model, report)
    return model


def _account(model: torch.nn.Module, report: dict) -> None:
    """Check transformers' loading report; the file may also have heads, and a pooler not read."""
    extra = {key for key in report["unexpected_keys"] if not key.startswith("pooler.")}
    unexpected = {key for key in extra if not tensors.is_head(key)}
    reshaped = [
        f"{key} is {list(in_file)} and not {list(expected)}"
        for key, in_file, expected in report["mismatched_keys"]
    ]
    tensors.account(model, report["missing_keys"], unexpected, reshaped)


def _kind(shape: torch.nn.Module, config) -> str:
    """What a model reads: "text", "image", or as a "pair" of towers both.

    Raises Refusal for models that read other things, or write.
    """
    if clip_pairs.is_pair(shape):
        return "pair"
    pair = hasattr(config, "vision_config") or hasattr(config, "text_config")
    if getattr(config, "is_encoder_decoder", False) or pair:
        problem = f"{type(shape).__name__} is not a single encoder, and no CLIP or SigLIP"
        raise Refusal(problem, "Choose a model such as BERT, Dinov2 or CLIP")
    reads_pixels = shape.main_input_name == "pixel_values" or not hasattr(config, "vocab_size")
    return "image" if reads_pixels else "text"


def _check_pooling(entry: dict, kind: str, has_pooler: bool) -> None:
    pooling = entry.get("pooling")
    allowed = {"text": OF_TEXTS, "image": (*POOLINGS, "pooler"), "pair": ()}[kind]
    if pooling and pooling not in allowed:
        choice = f"Set it to {' or '.join(allowed)}" if allowed else "Leave it out"
        raise Refusal(f"`pooling` {pooling!r} is not one of a model of {kind}s", choice)
    if pooling == "pooler" and not has_pooler and kind == "text":
        raise Refusal("its model has no pooler", "Set `pooling` to cls or mean")


def _transform(entry: dict, place: Place) -> Callable:
    """The transform of preprocessor_config.json and of the entry's `pixels`."""
    from transformers import AutoImageProcessor

    pixels = entry.get("pixels", {})
    if {"size", "interpolation", "mean", "std"} <= pixels.keys():
        return preparation.Pixels(**{"resize": pixels["size"], **pixels}).transform()
    try:
        processor = AutoImageProcessor.from_pretrained(
            place.name, **place.options() | {"trust_remote_code": False}
        )
    except OSError as error:
        problem = "it has no preprocessor_config.json that could be read"
        raise Refusal(problem, preparation.SET_ALL) from error
    prepared = preparation.of_processor(processor.to_dict())
    _check_steps(processor, prepared)
    return prepared.changed(pixels).transform()


def _check_steps(processor, prepared: preparation.Pixels) -> None:
    """Raise Refusal for a processor that does more with an image than its file says.

    Some turn RGB into BGR, or enlarge or normalise once more, by their class or by rare keys.
    """
    gradient = Image.linear_gradient("L")
    picture = Image.merge("RGB", [gradient, gradient.rotate(90), Image.radial_gradient("L")])
    theirs = torch.as_tensor(processor(picture, return_tensors="pt")["pixel_values"])[0]
    ours = prepared.transform()(picture)
    if theirs.shape != ours.shape or (theirs - ours).abs().mean() > SAME:
        problem = f"its {type(processor).__name__} has steps that are not known here"
        raise Refusal(problem, preparation.SET_ALL)


def _tokenizer(place: Place, transformer: torch.nn.Module):
    from transformers import AutoTokenizer

    options = place.options() | {"trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(place.name, **options)
    check_words(tokenizer, transformer.get_input_embeddings().num_embeddings)
    if place.local:
        _check_case(tokenizer, Path(place.name))
    return tokenizer


def _check_case(tokenizer, folder: Path) -> None:
    """Raise Refusal if a folder has words with capitals that its tokenizer can never find.

    A BERT's tokenizer writes all in lower case unless tokenizer_config.json says otherwise.
    """
    said = [folder / "tokenizer.json", folder / "tokenizer_config.json"]
    if said[0].is_file() or "do_lower_case" in tensors.described(said[1]):
        return
    words = [word for word in tokenizer.get_vocab() if word not in tokenizer.all_special_tokens]
    capital = [word for word in words if word != word.lower()]
    if len(capital) > CASED * len(words) and tokenizer.tokenize("NO") == tokenizer.tokenize("no"):
        problem = f"its tokenizer writes all in lower case, and {len(capital)} of its words are not"
        remedy = (
            'Put its tokenizer_config.json beside the words, or one of {"do_lower_case": false}'
        )
        raise Refusal(problem, remedy)


def check_words(tokenizer, room: int) -> None:
    """Raise Refusal for a tokenizer that has no words, or words beyond the `room` embedded tokens.

    If its files are missing, transformers silently builds one that knows only special tokens.
    """
    ids = set(tokenizer.get_vocab().values())
    if not ids - set(tokenizer.all_special_ids):
        problem = "its tokenizer knows no words: its files are missing"
        raise Refusal(problem, "Put tokenizer.json or vocab.txt beside the config")
    if max(ids) >= room:
        problem = f"its tokenizer has {len(ids)} tokens, and the model embeds {room}"
        raise Refusal(problem, "Take both from one model")


def _length(entry: dict, tokenizer, transformer: torch.nn.Module) -> int:
    """Tokens that are read: as many as the entry, the tokenizer and the model allow."""
    room = getattr(transformer.config, "max_position_embeddings", None)
    table = getattr(getattr(transformer, "embeddings", None), "position_embeddings", None)
    if room and getattr(table, "padding_idx", None) is not None:
        room -= table.padding_idx + 1  # RoBERTa counts positions from there
    limits = [entry.get("max_length", LONGEST), tokenizer.model_max_length, room]
    return min(int(limit) for limit in limits if limit and limit > 0)


def _is_path(name: str) -> bool:
    """Whether a model's name can only be a folder: names on a hub have at most one slash."""
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        return True
    return "/" in name and Path(name).parent.is_dir()
