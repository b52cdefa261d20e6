"""Embedding cache: vectors of images and texts in parquet, computed shard by shard.

A shard is a piece of a store (files/store.py). It is named by its items, the encoder's weights,
config, words and preprocessing, precision, storage type, code and the libraries' versions. So a
change of labels alone embeds nothing again, and several jobs can compute shards (jobs/share.py).
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from histopair import encoders, images, jobs
from histopair.encoders import first_pass
from histopair.errors import InputError
from histopair.files import tables
from histopair.files.store import Store
from histopair.images import pixels
from histopair.images.prefetch import Lane, late
from histopair.jobs import allocator, devices
from histopair.jobs.idle import Idle
from histopair.jobs.share import Share

CPU_BATCH, GPU_BATCH = 64, 512


def embed_images(
    labels: str,
    root: str,
    encoder: dict,
    settings: dict,
    shards: str,
    out: str,
    about: dict,
    share: Share | None = None,
) -> dict[str, float]:
    """Embed each distinct image of a dataset: image_id, embedding (raw, not normalised).

    `encoder` and `settings` are config entries; `shards` is the folder of finished shards; `share`
    is what this job does of the work, by default all. Returns the speed (see Idle.rate), which is
    in no file, so that a rerun writes the same bytes. InputError if the joining job misses shards.
    """
    items = tables.read(labels, ["image_id", "path", "sha256"]).drop_duplicates("image_id")
    device, model = devices.start(), encoders.load(encoder)
    encoders.require(model.image, encoder, "image")
    # Convolutional towers run 1.5 times faster with channels last; transformers do not mind.
    layout = {"memory_format": torch.channels_last}
    dtype = devices.dtype(settings["precision"], device)
    tower = model.image.to(device, dtype, **layout)
    size, decoding = _batch_size(settings, device), settings["decoding"]

    def compute(part: pd.DataFrame) -> np.ndarray:
        paths = [*part["path"]]
        with images.unchanged(root, paths, part["sha256"]):  # the shard bears these hashes
            batches = pixels.batches(root, paths, model.preprocess, size, device, decoding)
            return _features(tower, (batch.to(dtype, **layout) for batch in batches), idle)

    about["pixels"] = first_pass.preparation(model.preprocess)
    about["decoding"] = pixels.way(model.preprocess, device, decoding)
    identity = _identity(tower, dtype, encoder, settings, about)
    identity, idle = [*identity, about["pixels"], about["decoding"]], Idle(device)
    _embed(items, ["image_id"], "sha256", compute, identity, settings, shards, out, about, share)
    rate = idle.rate()
    print(_speed(rate, device), flush=True)
    return rate


def embed_texts(
    texts: str | pd.DataFrame,
    keys: list[str],
    column: str,
    encoder: dict,
    settings: dict,
    shards: str,
    out: str,
    about: dict,
    share: Share | None = None,
) -> None:
    """Embed one text column of a table: its `keys` columns, embedding (raw, not normalised).

    Texts are batched by length and padded to the longest of their batch, because padding costs as
    much as words do. The log and `about` say how many texts are longer than the tower reads.
    """
    items = tables.read(texts, [*keys, column]) if isinstance(texts, str) else texts
    items = items.dropna(subset=[column])
    device, model = devices.start(), encoders.load(encoder)
    encoders.require(model.text, encoder, "text")
    dtype = devices.dtype(settings["precision"], device)
    tower = model.text.to(device, dtype)
    size = _batch_size(settings, device)

    def compute(part: pd.DataFrame) -> np.ndarray:
        return text_features(tower, model.tokenize, model.pad_id, list(part[column]), size, device)

    about |= too_long(items[column], model)
    identity = _identity(tower, dtype, encoder, settings, about)
    _embed(items, keys, column, compute, identity, settings, shards, out, about, share)


def too_long(texts: pd.Series, model: encoders.Encoder) -> dict:
    """How many texts the tower does not read to the end, and after how many tokens it stops."""
    distinct = texts.value_counts()
    tokens = np.array(encoders.lengths(model.count, list(distinct.index)), int)
    cut = int(distinct.to_numpy()[tokens > model.context].sum())
    limit = f"the {model.context} tokens that it reads"
    print(f"{model.name}: {cut} of {len(texts)} texts are longer than {limit}", flush=True)
    return {"texts": len(texts), "cut": cut, "context": model.context}


def _identity(tower, dtype: torch.dtype, encoder: dict, settings: dict, about: dict) -> list:
    """What decides the vectors besides their items; also fills `about`."""
    weights = devices.weights_digest(tower)
    about |= {"encoder": encoder, "dtype": str(dtype), "weights": weights, "normalised": False}
    made_with = jobs.versions(jobs.ENCODING)
    described = encoders.description(encoder)
    return [encoder, settings, about["code"], weights, described, str(dtype), made_with]


def text_features(
    tower: torch.nn.Module,
    tokenize: Callable,
    pad_id: int,
    texts: list[str],
    size: int,
    device: torch.device,
) -> np.ndarray:
    """Features (n, d) of n texts, float32, in their order."""
    tokens, lengths = tokenize_all(tokenize, pad_id, texts)
    order = np.argsort(lengths, kind="stable")
    parts, lane = (
        [order[start : start + size] for start in range(0, len(order), size)],
        Lane(device),
    )
    sent = (lane.send(tokens[rows, : lengths[rows].max()].unbind()) for rows in parts)
    values = _features(tower, map(lane.receive, sent), Idle(device))
    features = np.empty_like(values)
    features[order] = values
    return features


def tokenize_all(
    tokenize: Callable, pad_id: int, texts: list[str]
) -> tuple[torch.Tensor, np.ndarray]:
    """Tokens (n, longest) and the length of each text in tokens, without padding."""
    tokens = tokenize(texts)
    used = (tokens != pad_id).int()
    lengths = (used * torch.arange(1, tokens.shape[1] + 1)).amax(1).clamp(min=1)
    return tokens, lengths.numpy()


def _embed(
    items, keys, content, compute, identity, settings, shards, out, about, share=None
) -> None:
    """Compute the missing shards of this job's share, then join all as the row groups of one file.

    compute(part) gives the vectors (n, d) of some of the items. A shard has the storage type of the
    settings, or float32 if that type cannot hold its vectors.
    """
    if items.empty:
        raise InputError(out, "there is nothing to embed", "Look at the audit table of its source")
    share, store = share or Share(out), Store(shards, identity)

    def write(part: pd.DataFrame, file: Path) -> None:
        vectors = compute(part)
        _check_finite(vectors, part[keys[0]], out)
        stored = tables.narrowed(vectors, settings["storage"])
        table = pa.Table.from_pandas(part[keys], preserve_index=False)
        table = table.append_column("embedding", tables.vectors(stored))
        tables.write(file, table.replace_schema_metadata(None), {})

    pieces = _pieces(items, [*keys, content], settings["shard_size"])
    mine = share.mine(pieces)
    number = sum(len(part) for part, _ in mine)
    turns = jobs.progress(mine, number, "items", Path(out).stem, lambda piece: len(piece[0]))
    files = [store.piece(name, partial(write, part)) for part, name in turns]
    allocator.give_back()
    if share.joins:
        files = files if share.alone else share.found(store, [name for _, name in pieces])
        tables.write_stream(out, _in_turn(files), about)
        store.clear(files)


def _pieces(items: pd.DataFrame, columns: list[str], size: int) -> list[tuple[pd.DataFrame, str]]:
    """Some items at a time, with a key for these columns of theirs and their order."""
    hashes = pd.util.hash_pandas_object(items[columns], index=False).to_numpy()
    ends = pairwise(_cuts(hashes, size))
    return [(items.iloc[start:end], hashes[start:end].tobytes().hex()) for start, end in ends]


def _cuts(hashes: np.ndarray, size: int) -> list[int]:
    """Where shards of half to one and a half times `size` items begin, and the end.

    A shard begins at the item of the least hash within reach of the last one. So items that are
    added or removed change the shards that they are in and perhaps the next ones; then cuts fall
    where they fell before.
    """
    starts, least = [0], size - size // 2
    while len(hashes) - starts[-1] > size + size // 2:
        first = starts[-1] + least
        starts.append(first + int(hashes[first : first + size].argmin()))
    return [*starts, len(hashes)]


def _in_turn(files: list[Path]) -> Iterator[pa.Table]:
    """The shards one by one, all in the widest storage type of any of them."""
    schemas = [pq.read_schema(file) for file in files]
    widest = max(schemas, key=lambda schema: schema.field("embedding").type.value_type.bit_width)
    return (pq.ParquetFile(file).read().cast(widest) for file in files)


def _features(tower: torch.nn.Module, batches: Iterable[torch.Tensor], idle: Idle) -> np.ndarray:
    """Features (n, d) of all batches, float32."""

    def results() -> Iterator[torch.Tensor]:
        for batch in batches:
            with idle.computing(len(batch)):
                result = _forward(tower, batch)
            yield result

    return np.concatenate([result.numpy() for result in late(results())])


@torch.inference_mode()
def _forward(tower: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Features of a batch, on its device; if it does not fit into a GPU's memory, half by half."""
    try:
        return tower(batch).float()
    except torch.cuda.OutOfMemoryError:
        if len(batch) == 1:
            raise
    torch.cuda.empty_cache()
    half = len(batch) // 2
    return torch.cat([_forward(tower, batch[:half]), _forward(tower, batch[half:])])


def _speed(rate: dict[str, float], device: torch.device) -> str:
    """The line of the log about what was computed now; shards of earlier jobs do not count."""
    if not rate:
        return "no images to compute: all shards are there"
    waited = f"{device.type} waited for images {rate['waited']:.1%} of the time"
    return f"{rate['per_second']:.1f} images/s in all; {waited}"


def _batch_size(settings: dict, device: torch.device) -> int:
    size, auto = settings["batch_size"], GPU_BATCH if device.type == "cuda" else CPU_BATCH
    return auto if size == "auto" else size


def _check_finite(vectors: np.ndarray, keys: pd.Series, out: str) -> None:
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        first = keys.iloc[bad.argmax()]
        problem = f"{int(bad.sum())} embeddings are not finite, the first of {first!r}"
        raise InputError(out, problem, "Set embedding.precision to float32, or look at that item")
