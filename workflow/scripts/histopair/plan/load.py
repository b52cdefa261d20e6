"""The config: its schema checked, `like:` resolved, every default filled in.

Every mistake is one line that names the key, the value and what is allowed.
"""

import copy
from functools import cache
from pathlib import Path

import jsonschema
import jsonschema.protocols
import yaml

from histopair.errors import InputError
from histopair.plan import checks
from histopair.plan.config_files import LOADER
from histopair.plan.mistakes import not_allowed, of_schema
from histopair.plan.recipes import fill_parameters

SCHEMA = Path(__file__).parents[3] / "schemas" / "config.schema.yaml"


def load(config: dict) -> dict:
    """The config with `like:` resolved and every default filled in.

    Raises InputError with one line per mistake.
    """
    _fail_on(checks.values.values(config))
    config = copy.deepcopy(config)
    schema = _schema()
    _fail_on(_resolve_likes(config) + checks.data.views(config))
    _fail_on(_schema_mistakes(config, schema))
    for method in config["methods"].values():
        fill_parameters(method)
    _fail_on(checks.entries(config, schema))
    _fail_on(checks.references(config))
    return config


@cache
def _schema() -> dict:
    return yaml.load(SCHEMA.read_text(encoding="utf-8"), LOADER)  # a safe one, in C


def _resolve_likes(config: dict) -> list[str]:
    """A method with `like: other` takes over what `other` says and it does not."""
    methods, mistakes = config.get("methods"), []
    if not isinstance(methods, dict) or not all(isinstance(m, dict) for m in methods.values()):
        return []  # the schema words it

    def resolved(name: str, seen: tuple[str, ...]) -> dict:
        method = methods[name]
        other = method.get("like")
        if other is None:
            return method
        if not isinstance(other, str) or other not in methods or other in seen:
            others = sorted(set(methods) - {name})
            mistakes.append(not_allowed(f"methods.{name}.like", other, others))
            return method
        merged = {**resolved(other, (*seen, name)), **method}
        return {key: value for key, value in merged.items() if key != "like"}

    config["methods"] = {name: resolved(name, (name,)) for name in methods}
    return mistakes


def _schema_mistakes(config: dict, schema: dict) -> list[str]:
    errors = list(_filling(schema).iter_errors(config))
    return sorted({of_schema(error) for error in errors})


def _filling(schema: dict) -> jsonschema.protocols.Validator:
    """A validator that also writes the schema's defaults into what it validates."""
    plain = jsonschema.Draft202012Validator
    # 3.0 is no whole number: what counts with it would fail.
    types = plain.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    check = plain.VALIDATORS["properties"]

    def properties(validator, known, instance, parent):
        if isinstance(instance, dict):
            for name, sub in known.items():
                if "default" in sub:
                    instance.setdefault(name, copy.deepcopy(sub["default"]))
        yield from check(validator, known, instance, parent)

    extended = {"validators": {"properties": properties}, "type_checker": types}
    return jsonschema.validators.extend(plain, **extended)(schema)


def _fail_on(mistakes: list[str]) -> None:
    if mistakes:
        raise InputError("config", "; ".join(mistakes), "config/README.md explains every key")
