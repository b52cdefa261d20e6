"""Pairing by several jobs: parts search for some blocks of the images, and one job joins them.

It cannot be done with a correction for hubs, which looks at the similarities of all train images.
"""

from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from histopair import jobs
from histopair.errors import InputError
from histopair.files import tables
from histopair.files.store import Store, checksum
from histopair.jobs.share import FOLDER, Share
from histopair.retrieval import retrieve


def pair(
    images: str, texts: str, retrieval: dict, shards: str, about: dict, gpu: bool, share: Share
) -> None:
    """Do a job's share of `retrieve.pair` without a correction; the joining job writes the same.

    `shards` is the folder of finished blocks. Raises InputError as `retrieve.pair` does, and if the
    joining job misses blocks or the parts searched in different ways.
    """
    made_by = [about["code"], retrieval, gpu, checksum(Path(images)), checksum(Path(texts))]
    store, total = Store(shards, made_by), pq.ParquetFile(images).metadata.num_rows
    starts = range(0, total, retrieve.BLOCK)
    if share.joins:
        _join(share.found(store, list(starts)), share.out, about, shards)
        store.clear([])
    else:
        searched = retrieve.search(images, texts, retrieval, "", None, gpu)
        _search(searched, store, share, starts)


def _search(searched: retrieve.Searched, store: Store, share: Share, starts: range) -> None:
    """Pair this job's blocks of the images; starts: the first image of each block of all."""
    mine = share.mine(starts)
    sizes = [min(starts.step, searched.total - start) for start in mine]
    blocks = zip(mine, islice(searched.blocks, share.number, None, share.of), strict=True)
    size = lambda block: len(block[1][0])  # noqa: E731
    for start, block in jobs.progress(blocks, sum(sizes), "images", "pairing", size):
        store.piece(start, partial(_write, searched, block))


def _write(searched: retrieve.Searched, block: tuple, file: Path) -> None:
    tables.write(file, searched.table(*block), searched.how)


def _join(files: list[Path], out: str, about: dict, shards: str) -> None:
    ways = [tables.about(file)["search"] for file in files]
    if other := next((way for way in ways if way != ways[0]), None):
        problem = f"one part searched by {ways[0]}, another by {other}"
        remedy = f"Delete {shards} and {FOLDER}/{out}, and run the parts on nodes of one kind"
        raise InputError(out, problem, remedy)
    blocks = (pq.ParquetFile(file).read() for file in files)
    tables.write_stream(out, blocks, about | {"search": ways[0]})
