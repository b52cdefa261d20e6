"""The config, checked, with every default filled in and methods resolved.

Every mistake is one line that names the key, the value and what is allowed.
"""

import copy

from histopair.errors import InputError
from histopair.plan import checks, resolve, schema
from histopair.plan.recipes import fill_parameters


def load(config: dict) -> dict:
    """The config with `like` resolved, every default filled in, and `datasets` of methods as
    `resolve.on_datasets` leaves it.

    Raises InputError with one line per mistake.
    """
    _fail_on(checks.values.values(config))
    config = copy.deepcopy(config)
    _fail_on(resolve.likes(config) + checks.data.views(config))
    _fail_on(schema.mistakes(config, schema.read()))
    for method in config["methods"].values():
        fill_parameters(method)
    _fail_on(checks.entries(config))
    _fail_on(resolve.on_datasets(config))
    _fail_on(checks.references(config))
    return config


def _fail_on(mistakes: list[str]) -> None:
    if mistakes:
        raise InputError("config", "; ".join(mistakes), "docs/config.md explains every key")
