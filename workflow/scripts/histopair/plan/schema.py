"""The config's schema: each key's type, default and meaning, and what does not fit them."""

import copy
from functools import cache
from pathlib import Path

import jsonschema
import jsonschema.protocols
import yaml

from histopair.plan.config_files import LOADER
from histopair.plan.mistakes import of_schema

SCHEMA = Path(__file__).parents[3] / "schemas" / "config.schema.yaml"


@cache
def read() -> dict:
    return yaml.load(SCHEMA.read_text(encoding="utf-8"), LOADER)  # a safe one, in C


def of_a_method() -> dict:
    """The schema of one method, whatever its recipe."""
    return read()["properties"]["methods"]["additionalProperties"]


def mistakes(part: dict, schema: dict, place: tuple[str, ...] = ()) -> list[str]:
    """What does not fit, one line each. Also fills in the defaults of the keys left out.

    place: where in the config the part is.
    """
    errors = list(_filling(schema).iter_errors(part))
    for error in errors:
        error.path.extendleft(reversed(place))
    return sorted({of_schema(error) for error in errors})


def _filling(schema: dict) -> jsonschema.protocols.Validator:
    """A validator that also fills in the schema's defaults."""
    plain = jsonschema.Draft202012Validator
    # 3.0 is not a whole number here: code that counts with it would fail.
    types = plain.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    check = plain.VALIDATORS["properties"]

    def properties(validator, keys, instance, parent):
        if isinstance(instance, dict):
            for name, sub in keys.items():
                if "default" in sub:
                    instance.setdefault(name, copy.deepcopy(sub["default"]))
        yield from check(validator, keys, instance, parent)

    extended = {"validators": {"properties": properties}, "type_checker": types}
    return jsonschema.validators.extend(plain, **extended)(schema)
