"""Cross references of the config: names that must exist, parameters that must fit.

Each check gives the lines of the mistakes that it found (`mistakes`).
"""

from histopair.checks import data, encoders, methods, searches, studies
from histopair.survival import checks as survival


def references(config: dict, schema: dict) -> list[str]:
    """Mistakes of a config that fits the schema, with defaults filled in."""
    settings = set(schema["properties"]["methods"]["additionalProperties"]["properties"])
    return [
        *data.datasets(config),
        *data.corpora(config),
        *encoders.encoders(config),
        *studies.studies(config),
        *searches.searches(config),
        *studies.reported(config),
        *methods.methods(config, settings),
        *survival.mistakes(config),
    ]
