"""The config, checked, with every default filled in and methods resolved.

Each mistake gives one line that names the key, the value and what is allowed.
"""

import copy
import re

from histopair.errors import InputError
from histopair.plan import checks, presets, resolve, schema
from histopair.plan.recipes import fill_parameters


def load(config: dict) -> dict:
    """The config with `like` and `preset` resolved, every default filled in, and the methods'
    `datasets` as `resolve.on_datasets` leaves it.

    Raises InputError with one line per mistake.
    """
    _fail_on(checks.values.values(config), {})
    config, others = copy.deepcopy(config), resolve.others(config)
    _fail_on(resolve.likes(config) + checks.datasets.resplits(config), {})
    _fail_on(presets.fill(config), {})
    _fail_on(schema.mistakes(config, schema.read()), others)
    _fail_on(resolve.folds(config) + resolve.few_labels(config), {})
    for method in config["methods"].values():
        fill_parameters(method)
    _fail_on(checks.entries(config), others)
    _fail_on(resolve.on_datasets(config), others)
    _fail_on(checks.references(config), others)
    return config


def _fail_on(mistakes: list[str], others: dict[str, str]) -> None:
    told = {_without_allowed(line) for line in mistakes}
    lines = [line for line in mistakes if _of_another(line, others) not in told]
    if mistakes:
        raise InputError("config", "; ".join(lines), "docs/config.md explains every key")


def _of_another(line: str, others: dict[str, str]) -> str | None:
    """The same mistake in the method that this line's method is `like`."""
    match = re.match(r"methods\.([a-z0-9-]+)(?=[.:])", line)
    if match is None or match[1] not in others:
        return None
    return _without_allowed(f"methods.{others[match[1]]}{line[match.end() :]}")


def _without_allowed(line: str) -> str:
    """A line without what is allowed instead, which differs between recipes."""
    return line.partition("; allowed are ")[0]
