"""Which public source a job fetches, and whether it may."""

import os

from histopair.datasets import sources


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
