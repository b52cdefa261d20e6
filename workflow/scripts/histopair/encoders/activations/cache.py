"""Activations of frozen blocks, computed once for all runs that train the same last blocks.

A shard is a piece of a store (files/store.py), named by the frozen weights, the encoder's config
and preprocessing, blocks, turns, storage type, code, the libraries' versions and the inputs
themselves. After a kill or a change of labels, finished images and texts are found by their
content; only missing ones are computed. Several jobs may share the computing (jobs/share.py).

Shards are safetensors: a memory map of them gives random rows about as fast as npy, also in
bfloat16, and 17 times as fast as parquet (benchmarks/activation_formats.py).
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from histopair import encoders, images, jobs
from histopair.encoders import embed, first_pass
from histopair.encoders.activations import source, split_towers
from histopair.errors import InputError
from histopair.files import tables
from histopair.files.store import Store
from histopair.images import pixels
from histopair.jobs import allocator, devices
from histopair.jobs.share import Share

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
SHARD_BYTES = 128 * 10**6
CPU_BATCH, GPU_BATCH = 32, 128
AUGMENTATIONS = 8  # the flips and quarter turns of a square tile


@dataclass
class Inputs:
    """Distinct inputs of frozen blocks, and how to compute their activations.

    items: `key`, by which runs look for an input, and `content`, which determines its activations;
    sizes (n,): how many numbers the activations of each have; made_with: what decides activations
    besides `content`; about: facts for the artifact. compute(positions) gives one tensor for each:
    (turns, ...) of an image, (length, d) of a text.
    """

    items: pd.DataFrame
    sizes: np.ndarray
    compute: Callable[[np.ndarray], Iterator[Tensor]]
    made_with: list[str] = field(default_factory=list)
    about: dict = field(default_factory=dict)


def make(
    kind: str,
    labels: str,
    root: str,
    encoder: dict,
    blocks: int,
    turns: int,
    settings: dict,
    shards: str,
    out: str,
    about: dict,
    share: Share | None = None,
) -> None:
    """Write folder `out`: activations of a dataset's images or captions, or why there are none.

    kind: "images" or "captions". With 0 blocks they are an image tower's tokens after its last one.
    `settings` is the config's `activations`, `shards` the folder of finished shards; `out` has hard
    links to them. `share` is this job's of the work, by default all. Raises InputError if the tower
    cannot be split there, the storage type is too narrow, images to be turned are not square, or
    the joining job misses shards.
    """
    folder, storage, share = Path(out), settings["storage"], share or Share(out)
    about = about | {"kind": kind, "blocks": blocks, "augmentations": turns, "encoder": encoder}
    _check_turns(turns)
    if not settings["cache"]:
        return _off(folder, about, "activations.cache is false", share)
    inputs = _inputs(kind, labels, root, encoder, blocks, turns)
    sizes = inputs.sizes * DTYPES[storage].itemsize
    about |= inputs.about | {"storage": storage, "items": len(sizes), "bytes": int(sizes.sum())}
    made_with = [*inputs.made_with, about["code"], jobs.versions(jobs.ENCODING)]
    store = Store(shards, [encoder, kind, blocks, turns, storage, *made_with], "safetensors")
    done = _finished(store.finished() if share.joins else store.named())
    missing = _missing(inputs.items["content"], done)
    if reason := _too_large(sizes, missing, settings["budget_gb"], store.folder):
        return _off(folder, about, reason, share)
    share.require(missing.sum(), len(sizes), kind)
    parts = _parts(share.mine(_blocks(sizes)), missing, sizes)
    new = _computed(inputs, parts, sizes, DTYPES[storage], store, [kind, folder.name])
    if share.joins:
        _publish(inputs.items, pd.concat([done, *new]), store, folder, about)


def _missing(contents: pd.Series, done: pd.DataFrame) -> np.ndarray:
    """Whether each content is to be computed: the first of equal ones, unless it was before."""
    return (~contents.isin(done.index) & ~contents.duplicated()).to_numpy()


def _computed(
    inputs: Inputs, parts: list, sizes: np.ndarray, dtype, store: Store, names: list[str]
) -> list[pd.DataFrame]:
    """Write these parts; the shard and row of each of their inputs. names: the kind, the folder."""
    number = sum(map(len, parts))
    print(f"{names[0]}: {number} of {len(sizes)} to compute, {sizes.sum() / 1e9:.3f} GB in all")
    written = [_write(inputs, part, dtype, store) for part in jobs.progress(parts, number, *names)]
    allocator.give_back()
    return written


def _check_turns(turns: int) -> None:
    if not 1 <= turns <= AUGMENTATIONS:
        remedy = f"Set the method's `augmentations` to 1 ... {AUGMENTATIONS}"
        raise InputError("augmentations", f"{turns} of a tile", remedy)


def _inputs(kind, labels, root, encoder, blocks, turns) -> Inputs:
    """A dataset's images or captions, with the frozen blocks of an encoder that read them."""
    device, model = devices.start(), encoders.load(encoder)
    tower = model.image if kind == "images" else model.text
    encoders.require(tower, encoder, "image" if kind == "images" else "text")
    frozen = split_towers.frozen(tower, blocks).to(device)
    samples = tables.read(labels)
    if kind == "images":
        inputs = _images(samples, root, model, frozen, turns, device)
    else:
        inputs = _captions(samples, labels, model, frozen, device)
    inputs.about["weights"] = devices.weights_digest(frozen)
    inputs.made_with += [inputs.about["weights"], encoders.description(encoder)]
    return inputs


def _images(samples, root, encoder, frozen, turns, device) -> Inputs:
    first = pixels.read(root, samples["path"].iloc[0], encoder.preprocess)
    source.require_square(first, turns, encoder.name)
    items = samples.drop_duplicates("sha256")
    items = items.assign(key=source.image_keys(items), content=items["sha256"])
    paths, digests = (items[column].to_numpy() for column in ("path", "sha256"))

    def activations(positions: np.ndarray) -> Iterator[Tensor]:
        preprocess, size = encoder.preprocess, _batch(device)
        for batch in pixels.batches(root, paths[positions], preprocess, size, device):
            tiles = batch.contiguous()
            versions = [source.turned(tiles, turn) for turn in range(turns)]
            yield from torch.stack([frozen(pixels)[0] for pixels in versions], dim=1).cpu()

    def compute(positions: np.ndarray) -> Iterator[Tensor]:
        with images.unchanged(root, paths[positions], digests[positions]):
            yield from activations(positions)

    sizes = np.full(len(items), next(activations(np.array([0]))).numel())
    decoding = pixels.way(encoder.preprocess, device)
    prepared = f"{first_pass.preparation(encoder.preprocess)}, JPEG by {decoding}"
    return Inputs(items, sizes, compute, [prepared])


def _captions(samples, labels, encoder, frozen, device) -> Inputs:
    """Texts in order of their length, so that a batch wastes little on padding."""
    texts = samples.dropna(subset=["caption"]).drop_duplicates("caption")
    if texts.empty:
        raise InputError(labels, "it has no captions", "Choose a dataset that has them")
    tokens, lengths = embed.tokenize_all(encoder.tokenize, encoder.pad_id, list(texts["caption"]))
    order = np.argsort(lengths, kind="stable")
    texts, tokens, lengths = texts.iloc[order], tokens[order], lengths[order]
    rows = [row[:length] for row, length in zip(tokens.numpy(), lengths, strict=True)]
    content = [hashlib.sha256(row.tobytes()).hexdigest() for row in rows]
    items = texts.assign(key=source.text_keys(texts), content=content)

    def compute(positions: np.ndarray) -> Iterator[Tensor]:
        for start in range(0, len(positions), _batch(device)):
            part = positions[start : start + _batch(device)]
            states, mask = frozen(tokens[part, : lengths[part].max()].to(device))
            yield from (row[kept] for row, kept in zip(states.cpu(), mask.cpu(), strict=True))

    width = next(compute(np.array([0]))).shape[1]
    about = embed.too_long(samples["caption"].dropna(), encoder)
    return Inputs(items, lengths * width, compute, about=about)


def _batch(device: torch.device) -> int:
    return GPU_BATCH if device.type == "cuda" else CPU_BATCH


def _too_large(sizes, missing, budget_gb: float, folder: Path) -> str | None:
    """Why the activations are not kept, None if they fit into the budget and on the disk."""
    gigabytes = sizes.sum() / 1e9
    if gigabytes > budget_gb:
        return f"their {gigabytes:.3g} GB are above activations.budget_gb = {budget_gb:g}"
    folder.mkdir(parents=True, exist_ok=True)
    if sizes[missing].sum() > shutil.disk_usage(folder).free:
        return f"the disk has no space for their {gigabytes:.3g} GB"
    return None


def _off(folder: Path, about: dict, reason: str, share: Share) -> None:
    print(f"no activations are kept: {reason}; the frozen blocks will run in every step")
    if not share.joins:
        return
    shutil.rmtree(folder, ignore_errors=True)
    tables.write_json(folder / source.ABOUT, about | {"on": False, "reason": reason})


def _blocks(sizes: np.ndarray) -> list[np.ndarray]:
    """Positions of all inputs, in blocks of about SHARD_BYTES."""
    shard = (np.cumsum(sizes) - sizes) // SHARD_BYTES
    return [np.flatnonzero(shard == number) for number in np.unique(shard)]


def _parts(blocks: list[np.ndarray], missing: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    """Positions of the missing inputs of some blocks, of several blocks together where they fit."""
    parts, room = [], 0
    for block in blocks:
        left = block[missing[block]]
        if not len(left):
            continue
        if (bytes_left := sizes[left].sum()) > room:
            parts.append([])
            room = SHARD_BYTES
        parts[-1].append(left)
        room -= bytes_left
    return [np.concatenate(part) for part in parts]


def _finished(files: Iterable[Path]) -> pd.DataFrame:
    """The shard and row of each content that was computed before.

    A file that cannot be opened has none: the joining job, which reads all bytes, deletes it.
    """
    places = [_places([], "")]
    for file in files:
        with suppress(SafetensorError), safe_open(file, "pt") as shard:
            places.append(_places(json.loads(shard.metadata()["contents"]), file.name))
    joined = pd.concat(places)
    return joined[~joined.index.duplicated()]


def _write(inputs: Inputs, part: np.ndarray, dtype, store: Store) -> pd.DataFrame:
    """Compute one shard: rows one after the other, and where each of them ends."""
    content = inputs.items["content"].iloc[part]
    rows = [row.to(dtype) for row in inputs.compute(part)]
    for name, row in zip(content.index, rows, strict=True):
        if not row.isfinite().all():
            problem = f"its activations do not fit into {dtype}"
            remedy = "Set activations.storage to bfloat16 or float32"
            raise InputError(f"row {name} of the labels", problem, remedy)
    ends = torch.tensor([len(row) for row in rows]).cumsum(0)
    contents = list(content)

    def write(file: Path) -> None:
        with tables.replacing(file) as temporary:
            states = {source.STATES: torch.cat(rows), source.ENDS: ends}
            save_file(states, temporary, {"contents": json.dumps(contents)})

    return _places(contents, store.piece(contents, write).name)


def _places(contents: list[str], shard: str) -> pd.DataFrame:
    rows = np.arange(len(contents), dtype=np.int32)
    return pd.DataFrame({"shard": shard, "row": rows}, index=pd.Index(contents, dtype=object))


def _publish(items: pd.DataFrame, done: pd.DataFrame, store: Store, folder: Path, about) -> None:
    """Link the shards in use, write where each input is, and drop the other shards."""
    partial = Path(f"{folder}.partial")
    for old in (partial, folder):
        shutil.rmtree(old, ignore_errors=True)
    partial.mkdir(parents=True)
    index = done.loc[items["content"]].assign(key=items["key"].to_numpy())
    used = set(index["shard"])
    for name in used:
        try:
            os.link(store.folder / name, partial / name)
        except OSError:  # a file system without hard links
            shutil.copyfile(store.folder / name, partial / name)
    rows = index[["key", "shard", "row"]].reset_index(drop=True)
    tables.write(partial / source.INDEX, rows, about)
    tables.write_json(partial / source.ABOUT, about | {"on": True})
    partial.rename(folder)
    store.clear(store.folder / name for name in used)
