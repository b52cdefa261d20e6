"""Text encoders of transformers: by hub name or local folder."""

from collections.abc import Callable
from pathlib import Path

import torch

from histopair.encoders import Encoder


class PooledText(torch.nn.Module):
    """A transformer's last hidden states pooled to one vector per text.

    tokens (n, length) -> (n, hidden_size); `pooling` is "cls" (BioBERT) or "mean" over the tokens
    that are no padding (sentence-transformers). A pooler that the transformer has is read by
    neither, and left out: no adapter of it could learn.
    """

    def __init__(self, transformer: torch.nn.Module, pooling: str, pad_id: int):
        super().__init__()
        self.transformer, self.pooling, self.pad_id = transformer, pooling, pad_id
        if getattr(transformer, "pooler", None) is not None:
            transformer.pooler = None

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        mask = (tokens != self.pad_id).long()
        states = self.transformer(input_ids=tokens, attention_mask=mask).last_hidden_state
        if self.pooling == "cls":
            return states[:, 0]
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def load(entry: dict, weights: bool = True) -> Encoder:
    """A text tower; a `model` that is a local folder is never looked up on a hub.

    Raises FileNotFoundError for what must be a folder, and is none.
    """
    from transformers import AutoConfig, AutoModel

    name, local = _place(entry)
    if weights:
        transformer = AutoModel.from_pretrained(
            name, local_files_only=local, use_safetensors=True if local else None
        )
    else:
        transformer = AutoModel.from_config(AutoConfig.from_pretrained(name, local_files_only=True))
    tokenizer, length = _tokenizer(entry)

    def tokenize(texts: list[str]) -> torch.Tensor:
        return tokenizer(
            texts, padding=True, truncation=True, max_length=length, return_tensors="pt"
        )["input_ids"]

    return Encoder(
        name=entry["name"],
        text=PooledText(transformer, entry.get("pooling", "cls"), tokenizer.pad_token_id),
        tokenize=tokenize,
        count=_counting(tokenizer),
        context=length,
        pad_id=tokenizer.pad_token_id,
        text_dim=transformer.config.hidden_size,
        tokenizer=tokenizer,
    )


def counter(entry: dict) -> tuple[Callable[[list[str]], list[int]], int]:
    """How many tokens texts have, and how many the tower reads. Raises as `load` does."""
    tokenizer, length = _tokenizer(entry)
    return _counting(tokenizer), length


def _counting(tokenizer) -> Callable[[list[str]], list[int]]:
    return lambda texts: [len(ids) for ids in tokenizer(texts, verbose=False)["input_ids"]]


def _tokenizer(entry: dict) -> tuple[object, int]:
    """The tokenizer, and how many tokens the tower reads."""
    from transformers import AutoConfig, AutoTokenizer

    name, local = _place(entry)
    positions = AutoConfig.from_pretrained(name, local_files_only=local).max_position_embeddings
    tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
    return tokenizer, min(entry.get("max_length", 512), positions)


def _place(entry: dict) -> tuple[str, bool]:
    """What transformers calls the model, and whether that is a local folder."""
    name = entry["model"].removeprefix("local-dir:")
    local = Path(name).is_dir()
    if not local and (name != entry["model"] or _is_path(name)):
        raise FileNotFoundError(f"the folder {name} does not exist")
    return name, local


def _is_path(name: str) -> bool:
    """Whether a model's name can only be that of a folder: a hub's have one slash at most."""
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        return True
    return "/" in name and Path(name).parent.is_dir()
