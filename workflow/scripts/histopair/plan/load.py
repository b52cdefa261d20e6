"""The config, checked, with every default filled in and methods resolved.

Every mistake is one line that names the key, the value and what is allowed.
"""

import copy
import re

from histopair.errors import InputError
from histopair.plan import checks, resolve, schema
from histopair.plan.recipes import fill_parameters


def load(config: dict) -> dict:
    """The config with `like` resolved, every default filled in, and `datasets` of methods as
    `resolve.on_datasets` leaves it.

    Raises InputError with one line per mistake.
    """
    written = config
    _fail_on(checks.values.values(config), written)
    config = copy.deepcopy(config)
    _fail_on(resolve.likes(config) + checks.data.views(config), written)
    _fail_on(schema.mistakes(config, schema.read()), written)
    for method in config["methods"].values():
        fill_parameters(method)
    _fail_on(checks.entries(config), written)
    _fail_on(resolve.on_datasets(config), written)
    _fail_on(checks.references(config), written)
    return config


def _fail_on(mistakes: list[str], written: dict) -> None:
    told = {line: _of_another(line, written) for line in mistakes}
    said = [line for line, other in told.items() if other == line or other not in told]
    if mistakes:
        raise InputError("config", "; ".join(said), "docs/config.md explains every key")


def _of_another(line: str, written: dict) -> str | None:
    """The same mistake as that of the method from which a method has it by `like`."""
    of_method = re.match(r"methods\.([a-z0-9-]+)(?=[.:])", line)
    other = of_method and written["methods"][of_method[1]].get("like")
    return f"methods.{other}{line[of_method.end() :]}" if isinstance(other, str) else None
