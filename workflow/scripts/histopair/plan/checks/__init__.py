"""Cross references of the config: names that must exist, parameters that must fit.

Each check gives the lines of the mistakes that it found (`mistakes`).
"""

from histopair.plan.checks import (
    datasets,
    encoders,
    methods,
    path_spelling,
    studies,
    tunings,
    values,
)

__all__ = ["data", "entries", "methods", "paths", "references", "values"]


def entries(config: dict) -> list[str]:
    """Mistakes of datasets, corpora, encoders and methods of a config that fits the schema."""
    return [
        *path_spelling.paths(config),
        *datasets.datasets(config),
        *datasets.corpora(config),
        *encoders.encoders(config),
        *methods.methods(config),
    ]


def references(config: dict) -> list[str]:
    """Mistakes of what studies and tunings name, where all entries are right."""
    return [
        *studies.studies(config),
        *tunings.tunings(config),
        *studies.shown(config),
    ]
