"""Activations of frozen blocks, computed once for all runs that train the same last blocks.

A shard is a piece of a store (files/store.py): the frozen weights decide it, how the encoder
prepares its input, blocks, turns, storage type, code and the inputs themselves. Images and texts
that an earlier job computed are found again by their content, after a kill as after a change of
labels; only missing ones are computed.

Shards are safetensors: a memory map of them gives random rows about as fast as npy does, with
bfloat16, and 17 times as fast as parquet (benchmarks/activation_formats.py).
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from histopair import encoders, jobs
from histopair.activations import split_towers
from histopair.activations.source import (
    ABOUT,
    ENDS,
    INDEX,
    STATES,
    image_keys,
    require_square,
    text_keys,
    turned,
)
from histopair.encoders import embed, first_pass
from histopair.errors import InputError
from histopair.files import tables
from histopair.files.store import Store
from histopair.images import pixels
from histopair.jobs import devices

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
SHARD_BYTES = 128 * 10**6
CPU_BATCH, GPU_BATCH = 32, 128
AUGMENTATIONS = 8  # the flips and quarter turns of a square tile


@dataclass
class Inputs:
    """Distinct inputs of frozen blocks, and how to compute their activations.

    items: `key`, by which runs look for an input, and `content`, which determines its activations;
    sizes (n,): numbers in the activations of each; prepared: how inputs are made, in words.
    compute(positions) gives one tensor for each: (turns, ...) of an image, (length, d) of a text.
    """

    items: pd.DataFrame
    sizes: np.ndarray
    compute: Callable[[np.ndarray], Iterator[Tensor]]
    prepared: str = ""


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
) -> None:
    """Write folder `out`: activations of a dataset's images or captions, or why there are none.

    kind: "images" or "captions". `settings` is the config's `activations`, `shards` the folder of
    finished shards; `out` has hard links to them. Raises InputError if the tower cannot be split
    there, an activation does not fit into the storage type, or images that are not square are to
    be turned.
    """
    folder = Path(out)
    about = about | {"kind": kind, "blocks": blocks, "augmentations": turns, "encoder": encoder}
    if not 1 <= turns <= AUGMENTATIONS:
        raise InputError(
            "augmentations",
            f"{turns} of a tile",
            f"Set the method's `augmentations` to 1 ... {AUGMENTATIONS}",
        )
    if not settings["cache"]:
        return _off(folder, about, "activations.cache is false")
    device, dtype = devices.start(), DTYPES[settings["storage"]]
    loaded = encoders.load(encoder)
    tower = loaded.image if kind == "images" else loaded.text
    embed.require(tower, encoder, "image" if kind == "images" else "text")
    frozen = split_towers.split(tower, blocks)[0].to(device)
    samples = tables.read(labels)
    if kind == "images":
        first = pixels.read(root, samples["path"].iloc[0], loaded.preprocess)
        require_square(first, turns, loaded.name)
        inputs = _images(samples, root, loaded.preprocess, frozen, turns, device)
    else:
        inputs = _captions(samples, labels, loaded, frozen, device)
        about |= embed.too_long(samples["caption"].dropna(), loaded)
    sizes = inputs.sizes * dtype.itemsize
    about |= {"weights": devices.weights_digest(frozen), "storage": settings["storage"]}
    about |= {"items": len(sizes), "bytes": int(sizes.sum())}
    what = [encoder, kind, blocks, turns, settings["storage"], about["weights"], about["code"]]
    store = Store(shards, [*what, inputs.prepared], "safetensors")
    done = _finished(store)
    missing = np.flatnonzero(~inputs.items["content"].isin(done.index))
    if reason := _too_large(sizes, missing, settings["budget_gb"], store.folder):
        return _off(folder, about, reason)
    print(f"{kind}: {len(missing)} of {len(sizes)} to compute, {sizes.sum() / 1e9:.3f} GB in all")
    for part in jobs.progress(_parts(missing, sizes), len(missing), kind, folder.name):
        content = inputs.items["content"].iloc[part]
        done = pd.concat([done, _write(inputs.compute(part), content, dtype, store)])
    _publish(inputs.items, done, store, folder, about)


def _images(samples, root, preprocess, frozen, turns, device) -> Inputs:
    items = samples.drop_duplicates("sha256")
    items = items.assign(key=image_keys(items), content=items["sha256"])
    paths = items["path"].to_numpy()

    def compute(positions: np.ndarray) -> Iterator[Tensor]:
        stream = pixels.batches(root, paths[positions], preprocess, _batch(device), device)
        for batch in stream:
            seen = [turned(batch.to(device), turn) for turn in range(turns)]
            yield from torch.stack([frozen(pixels)[0] for pixels in seen], dim=1).cpu()

    one = next(compute(np.array([0])))
    prepared = first_pass.preparation(preprocess)
    return Inputs(items, np.full(len(items), one.numel()), compute, prepared)


def _captions(samples, labels, encoder, frozen, device) -> Inputs:
    """Texts in order of their length, so that a batch wastes little on padding."""
    texts = samples.dropna(subset=["caption"]).drop_duplicates("caption")
    if texts.empty:
        raise InputError(labels, "it has no captions", "Choose a dataset that has them")
    tokens, lengths = embed.tokenize_all(encoder.tokenize, encoder.pad_id, list(texts["caption"]))
    order = np.argsort(lengths, kind="stable")
    texts, tokens, lengths = texts.iloc[order], tokens[order], lengths[order]
    used = [row[:length].tobytes() for row, length in zip(tokens.numpy(), lengths, strict=True)]
    content = [hashlib.sha256(row).hexdigest() for row in used]
    items = texts.assign(key=text_keys(texts), content=content)

    def compute(positions: np.ndarray) -> Iterator[Tensor]:
        for start in range(0, len(positions), _batch(device)):
            part = positions[start : start + _batch(device)]
            states, mask = frozen(tokens[part, : lengths[part].max()].to(device))
            yield from (row[kept] for row, kept in zip(states.cpu(), mask.cpu(), strict=True))

    width = next(compute(np.array([0]))).shape[1]
    return Inputs(items, lengths * width, compute)


def _batch(device: torch.device) -> int:
    return GPU_BATCH if device.type == "cuda" else CPU_BATCH


def _too_large(sizes, missing, budget_gb: float, store: Path) -> str | None:
    """Why the activations are not kept, None if they fit into the budget and on the disk."""
    gigabytes = sizes.sum() / 1e9
    if gigabytes > budget_gb:
        return f"their {gigabytes:.3g} GB are above activations.budget_gb = {budget_gb:g}"
    store.mkdir(parents=True, exist_ok=True)
    if sizes[missing].sum() > shutil.disk_usage(store).free:
        return f"the disk has no space for their {gigabytes:.3g} GB"
    return None


def _off(folder: Path, about: dict, reason: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    print(f"no activations are kept: {reason}; the frozen blocks will run in every step")
    tables.write_json(folder / ABOUT, about | {"on": False, "reason": reason})


def _parts(missing: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    """Positions of inputs, in groups of about SHARD_BYTES."""
    sizes = sizes[missing]
    shard = (np.cumsum(sizes) - sizes) // SHARD_BYTES
    return [missing[shard == number] for number in np.unique(shard)]


def _finished(store: Store) -> pd.DataFrame:
    """Where each content that was computed before lies: shard and row, by content."""
    found = [_rows([], "")]
    for file in store.finished():
        with safe_open(file, "pt") as shard:
            found.append(_rows(json.loads(shard.metadata()["contents"]), file.name))
    rows = pd.concat(found)
    return rows[~rows.index.duplicated()]


def _write(rows, content: pd.Series, dtype, store: Store) -> pd.DataFrame:
    """Compute one shard: rows that follow each other, and where each of them ends."""
    rows = [row.to(dtype) for row in rows]
    for name, row in zip(content.index, rows, strict=True):
        if not row.isfinite().all():
            raise InputError(
                f"row {name} of the labels",
                f"its activations do not fit into {dtype}",
                "Set activations.storage to bfloat16 or float32",
            )
    ends = torch.tensor([len(row) for row in rows]).cumsum(0)
    contents = {"contents": json.dumps(list(content))}

    def write(file: Path) -> None:
        with tables.replacing(file) as temporary:
            save_file({STATES: torch.cat(rows), ENDS: ends}, temporary, contents)

    return _rows(list(content), store.piece(list(content), write).name)


def _rows(contents: list[str], shard: str) -> pd.DataFrame:
    rows = np.arange(len(contents), dtype=np.int32)
    return pd.DataFrame({"shard": shard, "row": rows}, index=pd.Index(contents, dtype=object))


def _publish(items: pd.DataFrame, done: pd.DataFrame, store: Store, folder: Path, about) -> None:
    """Link the shards that are used, and say where each input lies; drop the other shards."""
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
    tables.write(partial / INDEX, index[["key", "shard", "row"]].reset_index(drop=True), about)
    tables.write_json(partial / ABOUT, about | {"on": True})
    partial.rename(folder)
    store.clear(store.folder / name for name in used)
