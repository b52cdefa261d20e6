"""What the last blocks of a tower train from: the activations of its frozen blocks, by row.

A method asks for the trained blocks of a tower and for their inputs. It does not know whether
these were computed once (cache.py) or are computed in every step.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from histopair import encoders
from histopair.encoders import embed
from histopair.encoders.activations import split_towers
from histopair.errors import InputError
from histopair.files import tables
from histopair.jobs import devices

Fetch = Callable[..., tuple[Tensor, ...]]

ABOUT, INDEX = "about.json", "index.parquet"  # in a folder of activations, beside its shards
STATES, ENDS = "states", "ends"  # in a shard


def tower(run, kind: str, blocks: int | str) -> tuple[nn.Module, int, Fetch]:
    """(trained, width, fetch): the last `blocks` blocks of a run's tower with all after them, the
    width of their output, and the function that gives their inputs.

    Without blocks, the inputs are the frozen tower's embeddings, cached for all methods. With "all"
    the whole tower trains, and they are pixels or tokens.
    kind: "image", or "text" for the captions. fetch(rows, turns=None) gives a tuple of tensors on
    the device for n row numbers of run.samples; trained(*tensors) is (n, width). turns (n,), each
    below the method's `augmentations`, turn the images (`turned`); without them images stay as they
    are. Raises InputError if the tower cannot be split there, a sample has no caption, or images
    to be turned are not square.
    """
    if not blocks:
        vectors = run.embeddings("image_embeddings" if kind == "image" else "caption_embeddings")
        return nn.Identity(), vectors.shape[1], lambda rows, turns=None: (vectors[rows],)
    entry = run.encoder_entry if kind == "image" else run.text_encoder_entry or run.encoder_entry
    encoder = encoders.load(entry)
    whole = encoder.image if kind == "image" else encoder.text
    encoders.require(whole, entry, kind)
    before, trained = split_towers.split(whole, blocks)
    width = encoder.image_dim if kind == "image" else encoder.text_dim
    return trained.to(run.device), width, inputs(run, kind, blocks, encoder, before)


def inputs(
    run, kind: str, blocks: int | str, encoder: encoders.Encoder, before: nn.Module
) -> Fetch:
    """The fetch of what a tower's last `blocks` blocks take, which is what `before` gives.

    From the run's cache, if it has one for so many blocks and of the encoder's own pixels; else
    `before` runs in each fetch. Raises InputError for a cache that other weights have computed.
    """
    kept = _cached(run, kind, blocks, before) if _own_pixels(run, kind) else None
    return kept or _computed(run, kind, encoder, before.to(run.device))


def tokens(run) -> tuple[int, Fetch]:
    """(width, fetch): fetch(rows) gives the tokens (n, length, width) of a run's images.

    They are the image tower's after its last block, before norms and pooling. Raises InputError for
    a tower without tokens.
    """
    entry = run.encoder_entry
    encoder = encoders.load(entry)
    encoders.require(encoder.image, entry, "image")
    fetch = inputs(run, "image", 0, encoder, split_towers.frozen(encoder.image, 0))
    (states,) = fetch(torch.tensor([0]))
    require_tokens(states, entry["name"], "linear_probe")
    return states.shape[-1], fetch


def require_tokens(states: Tensor, encoder: str, instead: str) -> None:
    """Raise InputError for states that are no tokens (n, length, d). `instead` is a recipe."""
    if states.dim() != 3:
        problem = "a convolutional network has no tokens to attend to"
        remedy = f"Take an encoder whose image tower is a transformer, or recipe: {instead}"
        raise InputError(f"encoder {encoder}", problem, remedy)


def turned(pixels: Tensor, turn: int) -> Tensor:
    """One of the eight ways a square tile (..., h, w) can lie: quarter turns, then mirrored ones.

    Turn 0 is the tile as it is.
    """
    rotated = torch.rot90(pixels, turn % 4, (-2, -1))
    return rotated.flip(-1) if turn >= 4 else rotated


def require_square(pixels: Tensor, turns: int, encoder: str) -> None:
    """Raise InputError for several turns of pixels (..., h, w) that are not square."""
    height, width = pixels.shape[-2:]
    if turns > 1 and height != width:
        problem = f"{turns} augmentations turn images; it takes them {width} x {height} pixels"
        remedy = "Set the method's `augmentations` to 1, or choose an encoder of square images"
        raise InputError(f"encoder {encoder}", problem, remedy)


def image_keys(samples: pd.DataFrame) -> pd.Series:
    """A key for the image of each sample, by its bytes."""
    return samples["sha256"]


def text_keys(samples: pd.DataFrame) -> pd.Series:
    """A key for the caption of each sample."""
    return samples["caption"].map(lambda text: hashlib.sha256(text.encode()).hexdigest())


def _computed(run, kind: str, encoder: encoders.Encoder, before: nn.Module) -> Fetch:
    """Decode or tokenise each batch, then run the frozen blocks on it, if there are any."""
    source = _pixels(run, encoder) if kind == "image" else _tokens(run, encoder)
    return lambda rows, turns=None: before(source(rows, turns))


def _pixels(run, encoder: encoders.Encoder) -> Callable[..., Tensor]:
    pixels = run.pixels(encoder.preprocess)
    require_square(pixels(torch.tensor([0])), run.method.get("augmentations", 1), encoder.name)

    def source(rows: Tensor, turns: Tensor | None) -> Tensor:
        batch = pixels(rows)
        if turns is None:
            return batch
        pairs = zip(batch, turns.tolist(), strict=True)
        return torch.stack([turned(image, turn) for image, turn in pairs])

    return source


def _tokens(run, encoder: encoders.Encoder) -> Callable[..., Tensor]:
    texts = list(_captioned(run)["caption"])
    tokens, lengths = embed.tokenize_all(encoder.tokenize, encoder.pad_id, texts)
    return lambda rows, turns: tokens[rows, : lengths[rows].max()].to(run.device)


def _captioned(run) -> pd.DataFrame:
    """The run's samples. Raises InputError if one has no caption."""
    missing = run.samples["caption"].isna()
    if missing.any():
        problem = f"{run.samples['sample_id'][missing].iloc[0]!r} has no caption"
        remedy = "A method that reads text needs a caption for every sample: choose another dataset"
        raise InputError(run.artifacts["labels"], problem, remedy)
    return run.samples


def _own_pixels(run, kind: str) -> bool:
    """Whether a run reads what a cache was made from: an encoder's own pixels, or texts."""
    return kind == "text" or run.method.get("normalisation", "own") == "own"


def _cached(run, kind: str, blocks: int | str, before: nn.Module) -> Fetch | None:
    """Reads activations from the run's folder of them; None if it has none for so many blocks.

    A tuning may try other numbers than the one whose activations it was given.
    """
    folder = run.artifacts.get("image_activations" if kind == "image" else "caption_activations")
    if folder is None:
        return None
    about = tables.read_json(Path(folder) / ABOUT)
    if about["blocks"] != blocks:
        return None
    if not about["on"]:
        print(f"{about['kind']}: the frozen blocks run in every step, because {about['reason']}")
        return None
    if about["weights"] != devices.weights_digest(before):
        problem = "they were computed with other weights than the encoder has now"
        raise InputError(folder, problem, "Remove the folder and rerun")
    print(f"{about['kind']}: activations of the frozen blocks are read from {folder}")
    keys = image_keys(run.samples) if kind == "image" else text_keys(_captioned(run))
    read = _reader(Path(folder), keys)
    return _images(read, run.device) if kind == "image" else _texts(read, run.device)


def _reader(folder: Path, keys: pd.Series) -> Callable[..., Tensor]:
    """read(row, turn=None) of one sample: all its turns or one of them, by a memory map."""
    index = tables.read(folder / INDEX)
    position = pd.Index(index["key"]).get_indexer(keys)
    if (position < 0).any():
        raise InputError(folder, "it lacks samples", "Remove the folder and rerun")
    names, places = (index[column].to_numpy()[position] for column in ("shard", "row"))

    @cache
    def shard(name: str):
        if not (folder / name).exists():
            raise InputError(folder / name, "the shard is gone", f"Remove {folder} and rerun")
        file = safe_open(folder / name, "pt")
        return file.get_slice(STATES), [0, *file.get_tensor(ENDS).tolist()]

    def read(row: int, turn: int | None = None) -> Tensor:
        states, ends = shard(names[row])
        start, end = ends[places[row]], ends[places[row] + 1]
        return states[start:end] if turn is None else states[start + turn]

    return read


def _images(read: Callable[..., Tensor], device: torch.device) -> Fetch:
    def fetch(rows: Tensor, turns: Tensor | None = None) -> tuple[Tensor]:
        turns = torch.zeros_like(rows) if turns is None else turns
        pairs = zip(rows.tolist(), turns.tolist(), strict=True)
        return (torch.stack([read(row, turn) for row, turn in pairs]).to(device).float(),)

    return fetch


def _texts(read: Callable[..., Tensor], device: torch.device) -> Fetch:
    def fetch(rows: Tensor, turns: Tensor | None = None) -> tuple[Tensor, Tensor]:
        texts = [read(row) for row in rows.tolist()]
        lengths = torch.tensor([len(text) for text in texts])
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        return pad_sequence(texts, batch_first=True).to(device).float(), mask.to(device)

    return fetch
