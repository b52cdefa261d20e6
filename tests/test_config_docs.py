"""config/README.md explains every key of the config, with its true default, and no other."""

import re
from pathlib import Path

import pytest
import yaml

from histopair.plan import recipes
from histopair.plan.fingerprint import constant
from histopair.plan.load import SCHEMA

README = Path(__file__).parents[1] / "config" / "README.md"
HEADING = re.compile(r"^#+ (?:`(?P<path>[^`]+)`|.+)$")
ROW = re.compile(r"^\| `(?P<key>[^`]+)` \| .+? \| (?P<default>.+?) \| (?P<meaning>.+) \|$")
KEYS_TABLE = "| key | type | default | meaning |"
NAMED = {"datasets", "cohorts", "corpora", "encoders", "methods", "searches", "studies", "survival"}
RESOLVED_BEFORE_THE_SCHEMA = {"methods.NAME.like"}


def documented() -> dict[str, str]:
    """Default, as written, of each key in the tables of keys: {"datasets.NAME.root": "–"}."""
    found, path, inside = {}, "", False
    for line in README.read_text(encoding="utf-8").splitlines():
        if heading := HEADING.match(line):
            path = heading["path"] or ""
        inside = line == KEYS_TABLE or (inside and line.startswith("|"))
        if inside and (row := ROW.match(line)):
            key = ".".join(filter(None, (path, row["key"])))
            assert key not in found, f"{key} is explained twice"
            found[key] = row["default"]
    return found


def headings() -> set[str]:
    lines = README.read_text(encoding="utf-8").splitlines()
    return {match["path"] for line in lines if (match := HEADING.match(line)) and match["path"]}


def schema_keys(schema: dict, path: tuple = ()) -> dict[str, tuple[dict, bool]]:
    """Every key of the schema: its own schema, and whether it is required."""
    found = {}
    for key, sub in schema.get("properties", {}).items():
        here = (*path, key)
        found[".".join(here)] = (sub, key in schema.get("required", ()))
        found |= schema_keys(sub, here)
        if "items" in sub:
            found |= schema_keys(sub["items"], here)
    entries = schema.get("additionalProperties")
    if path and isinstance(entries, dict) and "properties" in entries:
        found |= schema_keys(entries, (*path, "NAME"))
    return found


SCHEMA = schema_keys(yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))
DOCUMENTED = documented()
RECIPES = {
    f"recipe: {recipe}.{key}": default
    for recipe in recipes.known("methods")
    for key, default in constant(f"histopair.methods.{recipe}", "PARAMETERS").items()
}


def is_group(key: str) -> bool:
    """A key that only holds other keys is explained by them."""
    return any(other.startswith(f"{key}.") for other in SCHEMA)


def test_every_key_of_the_schema_is_explained():
    missing = {key for key in SCHEMA if not is_group(key)} - set(DOCUMENTED)
    top = {key for key in SCHEMA if "." not in key} - set(DOCUMENTED)
    assert not missing | top


def test_every_parameter_of_a_recipe_is_explained():
    assert not set(RECIPES) - set(DOCUMENTED)


def test_no_key_is_explained_that_does_not_exist():
    assert not set(DOCUMENTED) - set(SCHEMA) - set(RECIPES) - RESOLVED_BEFORE_THE_SCHEMA


@pytest.mark.parametrize("key", [key for key in SCHEMA if key in DOCUMENTED])
def test_the_default_of_a_key_is_the_schemas(key):
    schema, required = SCHEMA[key]
    written = DOCUMENTED[key]
    if required:
        assert written == "required"
    elif "default" in schema:
        assert yaml.safe_load(written.strip("`")) == schema["default"]
    else:
        assert written == "–"


@pytest.mark.parametrize("key", RECIPES)
def test_the_default_of_a_parameter_is_the_recipes(key):
    assert yaml.safe_load(DOCUMENTED[key].strip("`")) == RECIPES[key]


@pytest.mark.parametrize(
    "word, folder",
    [
        ("reader", "readers"),
        ("library", "encoders.libraries"),
        ("kind", "pretrain"),
        ("recipe", "methods"),
    ],
)
def test_every_reader_library_kind_and_recipe_has_its_section_and_no_other_has(word, folder):
    explained = {heading for heading in headings() if heading.startswith(f"{word}: ")}
    assert explained == {f"{word}: {name}" for name in recipes.known(folder)}


@pytest.mark.parametrize("task", ["SINGLE", "MULTI"])
def test_every_metric_is_named(task):
    text = README.read_text(encoding="utf-8")
    assert [
        name for name in constant("histopair.evaluation.metrics", task) if f"`{name}`" not in text
    ] == []


def test_examples_are_yaml_with_keys_that_exist():
    for block in re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.S):
        for key, value in yaml.safe_load(block).items():
            if key not in NAMED and key not in SCHEMA:
                assert f"datasets.NAME.{key}" in SCHEMA
            for entry in value.values() if key in NAMED else ():
                table = {name.split(".")[2] for name in SCHEMA if name.startswith(f"{key}.NAME.")}
                own = {name.split(".")[1] for name in RECIPES} | {"like"}
                assert set(entry) <= table | (own if key == "methods" else set())
