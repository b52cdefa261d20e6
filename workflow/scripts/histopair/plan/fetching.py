"""Which public source a job fetches, whether it may, and which encoders' files are needed."""

import os

from histopair.datasets import sources
from histopair.plan import needed, places


def allowed(config, w):
    """No files. Raises InputError unless a source is there, or its licence is accepted."""
    if not os.path.exists(sources.RECEIPT.format(source=w.source)):
        sources.require_allowed(w.source, accepted(config))
    return []


def accepted(config):
    """The licences that `accept` names: a list, or a text with commas."""
    licences = config["accept"]
    return (
        licences if isinstance(licences, list) else [part.strip() for part in licences.split(",")]
    )


def source(config, w):
    """The entry of a source."""
    return sources.find(w.source)


def weights(config, w):
    """What says that the encoders of the page's studies are fetched."""
    return [places.WEIGHTS.format(encoder=name) for name in encoders(config)]


def encoders(config):
    """The encoders that the page's studies load, and their towers; not those trained here."""
    paths = [path for read in needed.reads(config) for path in read()]
    names = needed.loaded(config, paths)
    return [name for name in names if "train" not in config["encoders"][name]]
