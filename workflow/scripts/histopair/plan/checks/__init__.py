"""Cross references of the config: names that must exist, parameters that must fit.

Each check gives the lines of the mistakes that it found (`mistakes`).
"""

from histopair.plan.checks import (
    data,
    encoders,
    methods,
    paths,
    searches,
    studies,
    values,
)

__all__ = ["data", "entries", "methods", "paths", "references", "values"]


def entries(config: dict) -> list[str]:
    """Mistakes of datasets, corpora, encoders and methods of a config that fits the schema."""
    return [
        *paths.paths(config),
        *data.datasets(config),
        *data.corpora(config),
        *encoders.encoders(config),
        *methods.methods(config),
    ]


def references(config: dict) -> list[str]:
    """Mistakes of what studies and searches name, where all entries are right."""
    return [
        *studies.studies(config),
        *searches.searches(config),
        *studies.reported(config),
    ]
