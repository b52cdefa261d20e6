"""All checks of a config: what its page, or some of its studies, need before any GPU hour."""

import os
from collections.abc import Iterator

from histopair import encoders
from histopair.doctor import (
    access,
    budget,
    data_rows,
    encoder_rows,
    environment,
    licence_rows,
    receipts,
    reference,
    trial,
    work,
)
from histopair.doctor.rows import LATER, LOOK, OK, UNKNOWN, Row, checked
from histopair.encoders import Encoder
from histopair.plan import entries, needed, places


def rows(config: dict, online: bool, fetch: str) -> Iterator[Row]:
    """The rows of all checks. online: whether a hub may be asked; nothing is downloaded.

    fetch: the command that fetches the weights of the config.
    """
    shown = ", ".join(entries.shown_studies(config))
    yield Row("config", OK, f"it fits its schema; studies {shown}")
    yield from environment.rows(config["gpu"], config["training"]["processes"])
    yield from checked("plan", lambda: _planned(config, online, fetch))


def _planned(config: dict, online: bool, fetch: str) -> Iterator[Row]:
    paths, faults = work.paths(config)
    yield from faults
    names = needed.loaded(config, paths)
    datasets, corpora = needed.datasets(config, names), needed.corpora(config, names)
    sizes = data_rows.Sizes()
    yield from data_rows.rows(config, datasets, corpora, sizes)
    yield from checked("labels", lambda: data_rows.cleaned(datasets, sizes))
    yield from receipts.rows(config, datasets, corpora)
    yield from licence_rows.rows(config)
    caches, learnings = work.caches(config, paths, sizes), work.learnings(config, sizes)
    trials = Trials(config, caches, learnings)
    for name in names:
        yield from checked(f"encoder {name}", lambda name=name: trials.rows(name, online, fetch))
    yield from checked("disk", lambda: budget.disk_rows(config, caches, trials.speeds))
    yield from checked("time", lambda: budget.time_rows(caches, trials.speeds, trials.to_come))
    measured = trials.trainings, environment.gpu_memory(), trials.to_come
    yield from checked("train", lambda: budget.training_rows(learnings, *measured))


class Trials:
    """The small trials of a config's encoders, and what each showed."""

    def __init__(self, config: dict, caches: list[work.Cache], learnings: list[work.Learning]):
        self.config, self.caches, self.learnings = config, caches, learnings
        self.speeds: dict[str, trial.Speed] = {}
        self.trainings: dict[tuple, trial.Training] = {}
        self.to_come: set[str] = set()  # the workflow makes them

    def rows(self, name: str, online: bool, fetch: str) -> Iterator[Row]:
        """Load an encoder, compare its fingerprint, and try it if anything is to be computed."""
        entry = encoder_rows.entry(self.config, name)
        if online:
            yield from access.asked(entry)
        again = os.path.exists(places.WEIGHTS.format(encoder=name))
        fetch += " -R fetch_encoder" if again else ""
        encoder, row = encoder_rows.loaded(entry, online=False, fetch=fetch)
        yield row
        if row.state == LATER:
            self.to_come.add(name)
        if encoder is not None and reference.key(entry) in reference.stored():
            yield from encoder_rows.compared(entry, reference.computed(encoder, entry))
        if encoder is None and (encoder := encoder_rows.architecture(entry)):
            yield Row(f"trial {name}", LOOK, encoder_rows.ESTIMATED)
        if encoder is not None and trial.fits(encoder):
            self._try(encoder, entry)
        elif encoder is not None:
            yield Row(f"trial {name}", UNKNOWN, "this machine has too little free memory for one")

    def _try(self, encoder: Encoder, entry: dict) -> None:
        """Raises InputError for a tower that it lacks or that cannot be split."""
        name = entry["name"]
        caches = [cache for cache in self.caches if cache.encoder == name]
        for cache in caches:
            kind = "image" if cache.kind == "images" else "text"
            encoders.require(getattr(encoder, kind), entry, kind)
        if caches:
            blocks = [cache.blocks for cache in caches if cache.rule == "cache_activations"]
            precision = self.config["embedding"]["precision"]
            self.speeds[name] = trial.speed(encoder, precision, blocks)
        for blocks in {part.blocks for part in self.learnings if part.encoder == name}:
            encoders.require(encoder.image, entry, "image")
            self.trainings[name, blocks] = trial.training(encoder, blocks)
