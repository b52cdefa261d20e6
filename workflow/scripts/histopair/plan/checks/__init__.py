"""Cross references of the config: names that must exist, parameters that must fit.

Each check gives one line per mistake.
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

__all__ = ["datasets", "entries", "methods", "references", "values"]


def entries(config: dict) -> list[str]:
    """Mistakes in datasets, corpora, encoders and methods of a config that fits the schema."""
    return [
        *path_spelling.paths(config),
        *datasets.datasets(config),
        *datasets.corpora(config),
        *encoders.encoders(config),
        *methods.methods(config),
    ]


def references(config: dict) -> list[str]:
    """Mistakes in what studies and tunings name, once all entries are right."""
    return [*studies.studies(config), *tunings.tunings(config), *studies.shown(config)]
