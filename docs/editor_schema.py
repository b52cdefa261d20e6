"""The config's schema as editors load it: with the parameters of each recipe, as JSON.

Made of the same two places as the reference: config.schema.yaml and the recipes' own literals. It
is of draft 7, which all editors know, and asks for no whole file: a config may add to another.
"""

import contextlib
import copy

from histopair.errors import InputError
from histopair.plan import presets, recipes, schema
from histopair.plan.checks.datasets import readers_of
from histopair.plan.checks.methods import AUGMENTATIONS, PAIRINGS
from histopair.plan.checks.types import LORA_BLOCKS, LORA_TARGETS
from histopair.plan.fingerprint import constant

DRAFT = "http://json-schema.org/draft-07/schema#"
SETTINGS = "#/properties/methods/additionalProperties/properties"
FIXED = ("recipe", "like", "datasets")
SECTIONS = ("datasets", "corpora", "encoders", "methods")


def editor_schema() -> dict:
    """The schema, its recipes, readers, libraries and kinds named, and each recipe's parameters."""
    found = copy.deepcopy(schema.read()) | {"$schema": DRAFT}
    del found["required"]
    entries = {name: _of_an_entry(found, name) for name in SECTIONS}
    entries["methods"]["recipe"]["enum"] = recipes.known("methods")
    entries["encoders"]["preset"]["enum"] = list(presets.read())
    del found["properties"]["encoders"]["additionalProperties"]["required"]
    entries["encoders"]["library"]["enum"] = recipes.known("encoders.libraries")
    entries["encoders"]["train"]["properties"]["kind"]["enum"] = recipes.known("training.pretrain")
    entries["datasets"]["reader"]["enum"] = readers_of("images")
    entries["corpora"]["reader"]["enum"] = readers_of("reports")
    found["definitions"] = {name: parameters(name) for name in recipes.known("methods")}
    method = found["properties"]["methods"]["additionalProperties"]
    method["allOf"] = [*map(_of_recipe, recipes.known("methods")), _of_any_recipe()]
    return found


def _of_an_entry(whole: dict, section: str) -> dict[str, dict]:
    return whole["properties"][section]["additionalProperties"]["properties"]


def parameters(recipe: str) -> dict[str, dict]:
    """The schema of each of a recipe's own parameters: type, default and meaning."""
    method, words = {"recipe": recipe}, descriptions(recipe)
    least, choices = recipes.least(method), {"pairing": PAIRINGS} | recipes.choices(method)
    instead = recipes.words(method)
    found = {}
    for name, default in recipes.parameters(method).items():
        kind = _kind(default, least.get(name, 1), instead.get(name, ()))
        kind = {"enum": list(choices[name])} if name in choices else kind
        found[name] = kind | {"default": default, "description": words[name]}
    if "augmentations" in found:
        found["augmentations"]["maximum"] = AUGMENTATIONS
    return found


def descriptions(recipe: str) -> dict[str, str]:
    """The meaning of a recipe's parameters: its own words, or else those of all recipes.

    Raises InputError for a parameter without one.
    """
    module, found = f"histopair.methods.{recipe}", constant("histopair.methods", "DESCRIPTIONS")
    with contextlib.suppress(KeyError):  # a recipe may have no parameter of its own
        found = found | constant(module, "DESCRIPTIONS")
    for name in recipes.parameters({"recipe": recipe}):
        if name not in found:
            problem = f"nothing says what its parameter {name!r} means"
            raise InputError(module, problem, "Add a line to its DESCRIPTIONS")
    return found


def _kind(default: object, least: int, words: tuple[str, ...] = ()) -> dict:
    """The type of a parameter, as `checks.types.fits` reads it from its default."""
    match default:
        case {"targets": _}:
            return _map(default, least) | {"type": ["object", "null"]}
        case {} if not default:
            return {"type": "object", "additionalProperties": {"type": "string"}}
        case dict():
            return {"anyOf": [_kind(least, least, words), _map(default, least, words)]}
        case _ if words:
            number = least if default in words else default
            return {"anyOf": [_kind(number, least), {"enum": list(words)}]}
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer", "minimum": least}
        case float():
            return {"type": "number", "minimum": 0}
    return {"type": "string"}


def _map(default: dict, least: int, words: tuple[str, ...] = ()) -> dict:
    kinds = {name: _kind(part, least, words) for name, part in default.items()}
    parts = {name: kinds[name] | {"default": part} for name, part in default.items()}
    if "targets" in parts:
        parts["targets"] = {"enum": LORA_TARGETS, "default": default["targets"]}
        blocks = default["blocks"]
        parts["blocks"] = _kind(blocks, least, LORA_BLOCKS) | {"default": blocks}
    return {"type": "object", "additionalProperties": False, "properties": parts}


def _of_recipe(recipe: str) -> dict:
    own = {name: {"$ref": f"#/definitions/{recipe}/{name}"} for name in parameters(recipe)}
    named = {"properties": {"recipe": {"const": recipe}}, "required": ["recipe"]}
    return {"if": named, "then": _allowed(own)}


def _of_any_recipe() -> dict:
    """A method that is like another may have the parameters of any recipe."""
    own: dict[str, list] = {}
    for recipe in recipes.known("methods"):
        for name in parameters(recipe):
            own.setdefault(name, []).append({"$ref": f"#/definitions/{recipe}/{name}"})
    return {
        "if": {"not": {"required": ["recipe"]}},
        "then": _allowed({name: {"anyOf": kinds} for name, kinds in own.items()}),
    }


def _allowed(own: dict[str, dict]) -> dict:
    """The keys of a method, and those that may differ on single datasets."""
    settings = list(schema.of_a_method()["properties"])
    there = {name: {"$ref": f"{SETTINGS}/{name}"} for name in settings if name not in FIXED} | own
    on_datasets = {"additionalProperties": {"properties": there, "additionalProperties": False}}
    return {
        "properties": dict.fromkeys(settings, True) | own | {"datasets": on_datasets},
        "additionalProperties": False,
    }
