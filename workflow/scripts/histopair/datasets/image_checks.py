"""Each image of a dataset, decoded once: its digest and perceptual hash, or why it is unusable."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from PIL import Image

from histopair import images, jobs
from histopair.datasets import phash
from histopair.files import tables
from histopair.files.store import Store
from histopair.images import MAX_PIXELS, Unreadable

SHARD = 4096  # images whose results are kept together; a killed job repeats at most these
FILES_PER_TASK = 16
ROWS_PER_TASK = 1024  # arrays are compressed in chunks of many rows, so read slabs of them
BLACK = "black all over: no value is above 1 of 255"


class Checked(NamedTuple):
    """Facts about an image: no `reason` or `remedy` for a good one, no `phash` for glass."""

    sha256: str | None
    phash: str | None
    reason: str | None = None
    remedy: str | None = None
    doubt: str | None = None


def check(root: str | Path, path: str, max_pixels: int = MAX_PIXELS) -> Checked:
    """Decode one image fully."""
    try:
        image = images.load(root, path, max_pixels)
        return _decoded(image, images.digest(root, path))
    except Unreadable as error:
        return Checked(None, None, error.reason, error.remedy)
    except OSError as error:
        return Checked(None, None, f"unreadable ({images.cause(error)})", "Replace the file")


def check_all(
    root: str | Path,
    paths: Sequence[str],
    max_pixels: int = MAX_PIXELS,
    label: str = "images",
    shards: str | Path | None = None,
    code: str | None = None,
) -> Iterator[Checked]:
    """`check` for many paths in their order, on the job's threads, with progress.

    The folder `shards` keeps the results, part by part: images of the same path and bytes are not
    decoded again by the same `code` and decoders, even if their labels change.
    """
    parts = [paths[start : start + SHARD] for start in range(0, len(paths), SHARD)]
    made_by = [max_pixels, code, jobs.versions(jobs.DECODING)]
    store = Store(shards, made_by) if shards is not None else None
    used: set[Path] = set()
    digests: dict[Path, str | None] = {}
    with ThreadPoolExecutor(jobs.threads()) as pool:
        for part in jobs.progress(parts, len(paths), "images", label):
            if store is None:
                yield from _checked(pool, root, part, max_pixels)
                continue
            files = list(dict.fromkeys(images.locate(root, path)[0] for path in part))
            new = [file for file in files if file not in digests]  # an array is in many parts
            digests.update(zip(new, pool.map(_digest, new), strict=True))

            def write(file: Path, part: Sequence[str] = part) -> None:
                checked = pd.DataFrame(_checked(pool, root, part, max_pixels), dtype="str")
                tables.write(file, checked, {})

            file = store.piece([list(part), [digests[file] for file in files]], write)
            used.add(file)
            checked = tables.read(file).astype(object)
            yield from map(Checked._make, checked.where(checked.notna(), None).to_numpy())
    if store is not None:
        store.clear(used)


def _checked(pool, root, paths: Sequence[str], max_pixels: int) -> Iterator[Checked]:
    size = ROWS_PER_TASK if "#" in paths[0] else FILES_PER_TASK
    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    for checked in pool.map(lambda batch: _check_batch(root, batch, max_pixels), batches):
        yield from checked


def _digest(file: Path) -> str | None:
    """sha256 of a file's bytes; None if there is no such file, or its name is impossible."""
    try:
        if not file.is_file():  # a pipe would never end
            return None
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except (OSError, ValueError):
        return None


def _check_batch(root, paths: Iterable[str], max_pixels: int) -> list[Checked]:
    results = []
    for file, group in groupby(paths, lambda path: path.partition("#")[0] if "#" in path else None):
        group = list(group)
        results += (_check_slab if file else _check_each)(root, group, max_pixels)
    return results


def _check_each(root, paths: list[str], max_pixels: int) -> list[Checked]:
    return [check(root, path, max_pixels) for path in paths]


def _check_slab(root, paths: list[str], max_pixels: int) -> list[Checked]:
    """Check rows of one array, with one read if they follow each other."""
    places = [images.locate(root, path) for path in paths]
    rows = [index for _, index in places]
    if None in rows or rows != list(range(rows[0], rows[0] + len(rows))):
        return _check_each(root, paths, max_pixels)
    try:
        slab = images.array_pixels(places[0][0], paths[0], slice(rows[0], rows[-1] + 1), max_pixels)
    except Unreadable:
        # One row at a time, so that the good ones among them are kept.
        return _check_each(root, paths, max_pixels)
    return [
        _decoded(Image.fromarray(pixels), hashlib.sha256(pixels.tobytes()).hexdigest())
        for pixels in slab
    ]


def _decoded(image: Image.Image, sha256: str) -> Checked:
    brightest = max(high for _, high in image.getextrema())
    return Checked(sha256, phash.of(image), doubt=None if brightest > 1 else BLACK)
