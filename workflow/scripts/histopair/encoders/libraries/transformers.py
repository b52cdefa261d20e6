"""Text encoders of transformers: by hub name or local folder."""

import inspect
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence

from histopair.encoders import NO_PADDING, Encoder
from histopair.encoders import weights as tensors
from histopair.encoders.weights import Refusal

KEYS = ("pooling", "max_length")

FILES = ("model", "pytorch_model")
LONGEST = 512  # tokens, unless the entry says otherwise


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
    """A text tower; a `model` that is a local folder is never looked up on a hub.

    Texts are padded on the right with an id that no token has, whatever the tokenizer's own
    padding. Raises FileNotFoundError for a folder that does not exist; Refusal for weights that are
    not the model's, a model of another kind, and a tokenizer without its words.
    """
    name, local = _place(entry)
    if local:
        tensors.check_folder(Path(name), "transformers")
    pooling = entry.get("pooling", "cls")
    try:
        transformer = _transformer(name, local, pooling, weights)
        tokenizer = _tokenizer(name, local, transformer)
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        problem = f"{name} brings its own code, which is never run"
        raise Refusal(problem, "Choose a model of a class that transformers has") from error
    length = _length(entry, tokenizer, transformer)

    def tokenize(texts: list[str]) -> torch.Tensor:
        ids = tokenizer(texts, truncation=True, max_length=length)["input_ids"]
        rows = [torch.tensor(row, dtype=torch.long) for row in ids]
        return pad_sequence(rows, batch_first=True, padding_value=NO_PADDING)

    return Encoder(
        name=entry["name"],
        text=PooledText(transformer, pooling, NO_PADDING),
        tokenize=tokenize,
        count=_counting(tokenizer),
        context=length,
        pad_id=NO_PADDING,
        text_dim=transformer.config.hidden_size,
        tokenizer=tokenizer,
    )


def counter(entry: dict) -> tuple[Callable[[list[str]], list[int]], int]:
    """How many tokens texts have, and how many the tower reads. Raises as `load` does."""
    name, local = _place(entry)
    shape, _ = _shape(name, local)
    tokenizer = _tokenizer(name, local, shape)
    return _counting(tokenizer), _length(entry, tokenizer, shape)


def _counting(tokenizer) -> Callable[[list[str]], list[int]]:
    return lambda texts: [len(ids) for ids in tokenizer(texts, verbose=False)["input_ids"]]


def _place(entry: dict) -> tuple[str, bool]:
    """What transformers calls the model, and whether that is a local folder."""
    name = entry["model"].removeprefix("local-dir:")
    local = Path(name).is_dir()
    if not local and (name != entry["model"] or _is_path(name)):
        raise FileNotFoundError(f"the folder {name} does not exist")
    return name, local


def _shape(name: str, local: bool) -> tuple[torch.nn.Module, object]:
    """The model without its tensors, and its config."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(name, local_files_only=local, trust_remote_code=False)
    with torch.device("meta"):
        return AutoModel.from_config(config), config


def _transformer(name: str, local: bool, pooling: str, weights: bool) -> torch.nn.Module:
    """The model with all of its weights, and without its pooler unless that is read."""
    shape, config = _shape(name, local or not weights)
    kind = type(shape)
    _check_kind(kind, config, hasattr(shape, "pooler"), pooling)
    options = {}
    if "add_pooling_layer" in inspect.signature(kind.__init__).parameters:
        options = {"add_pooling_layer": pooling == "pooler"}
    if not weights:
        return kind(config, **options)
    options |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
    options |= {"dtype": torch.float32}
    if local:
        state = tensors.stripped(tensors.read(tensors.find(Path(name), FILES)), shape.state_dict())
        if pooling != "pooler":
            state = {key: state[key] for key in state if not key.startswith("pooler.")}
        model, report = kind.from_pretrained(None, state_dict=state, config=config, **options)
    else:
        model, report = kind.from_pretrained(name, trust_remote_code=False, **options)
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


def _check_kind(kind: type, config, has_pooler: bool, pooling: str) -> None:
    single = kind.main_input_name == "input_ids" and not hasattr(config, "vision_config")
    if config.is_encoder_decoder or not single:
        problem = f"{kind.__name__} is not a single text encoder"
        raise Refusal(problem, "Choose a model such as BERT, or `library: open_clip` for a CLIP")
    if pooling == "pooler" and not has_pooler:
        raise Refusal(f"{kind.__name__} has no pooler", "Set `pooling` to cls or mean")


def _tokenizer(name: str, local: bool, transformer: torch.nn.Module):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local, trust_remote_code=False)
    check_words(tokenizer, transformer.get_input_embeddings().num_embeddings)
    return tokenizer


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
