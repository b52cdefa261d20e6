"""What is still to be computed, and how much of it: embeddings, activations, trainings."""

import os
from dataclasses import dataclass

from histopair.doctor.data_rows import Sizes
from histopair.doctor.rows import Row, of_mistake
from histopair.errors import InputError
from histopair.plan import entries, needed, places


@dataclass(frozen=True)
class Cache:
    """A file of embeddings, or a folder of activations, that is not there yet.

    kind: images, captions, texts, prompts. items: how many; None where data are not there yet.
    blocks, turns: of activations.
    """

    path: str
    rule: str
    encoder: str
    of: str
    kind: str
    items: int | None
    blocks: int = 0
    turns: int = 1


@dataclass(frozen=True)
class Learning:
    """The runs of one method that train an encoder on one dataset, as many as seeds.

    blocks: how many of its image tower's last, or "all". items: images of all splits.
    """

    method: str
    encoder: str
    dataset: str
    blocks: int | str
    batch: int
    epochs: int
    runs: int
    items: int | None


def paths(config: dict) -> tuple[list[str], list[Row]]:
    """All paths that shown runs read, and a row for each fault of theirs."""
    named, mistakes = [], []
    for read in needed.reads(config):
        try:
            named += read()
        except InputError as mistake:
            mistakes.append(mistake)
    named = list(dict.fromkeys(named))
    for path in named:
        try:
            places.there(path)
        except InputError as mistake:
            mistakes.append(mistake)
    faults = {str(mistake): of_mistake("runs", mistake) for mistake in mistakes}
    return named, list(faults.values())


def caches(config: dict, named: list[str], sizes: Sizes) -> list[Cache]:
    """The caches among some paths that are not there yet; of bags nothing is computed."""
    absent = ((path, needed.cache(path)) for path in named if not os.path.exists(path))
    return [
        _cache(names, path, sizes)
        for path, names in absent
        if names and names["rule"] != "chunks" and not needed.of_bags(config, names)
    ]


def _cache(names: dict, path: str, sizes: Sizes) -> Cache:
    of, kind = names.get("corpus") or names["dataset"], names.get("kind", "texts")
    counts = {"images": sizes.images, "captions": sizes.captions, "texts": sizes.texts}
    blocks, _, turns = names.get("blocks", "0").partition("x")
    rule = "cache_activations" if names["rule"] == "activations" else f"embed_{kind}"
    items = counts.get(kind, {}).get(of)
    return Cache(path, rule, names["encoder"], of, kind, items, int(blocks), int(turns or 1))


def learnings(config: dict, sizes: Sizes) -> list[Learning]:
    """The trainings that adapt an image tower."""
    counts: dict[tuple, int] = {}
    for run in needed.runs(config):
        if needed.trained(config, run):
            key = run["method"], run["encoder"], run["dataset"]
            counts[key] = counts.get(key, 0) + 1
    return [_learning(config, *key, runs, sizes) for key, runs in counts.items()]


def _learning(config, method, encoder, dataset, runs, sizes) -> Learning:
    entry = entries.method(config, method, dataset)
    blocks = needed.trained(config, {"dataset": dataset, "method": method, "encoder": encoder})
    batch = -(-entry["batch_size"] // entry["accumulate"])
    folds = entries.folds(config["datasets"][dataset]) or 1
    items = sizes.images.get(entries.base(config, dataset))
    epochs = entry["epochs"]
    return Learning(method, encoder, dataset, blocks, batch, epochs, runs * folds, items)
