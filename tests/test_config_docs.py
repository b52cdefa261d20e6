"""Each key of the config is said once: docs/config.md and the editors' schema are made of that."""

import copy
import json
import re
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from histopair.errors import InputError
from histopair.evaluation.metrics import METRICS
from histopair.plan import recipes
from histopair.plan.fingerprint import constant
from histopair.plan.load import load
from histopair.plan.schema import read

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import editor_schema  # noqa: E402
import generate  # noqa: E402

README = (ROOT / "config/README.md").read_text(encoding="utf-8")
REFERENCE = generate.REFERENCE.read_text(encoding="utf-8")
EDITOR = json.loads(generate.EDITOR.read_text(encoding="utf-8"))
CONFIGS = [*sorted(ROOT.glob("config/*.yaml")), ROOT / "tests/small.yaml"]
CONFIGS += sorted(ROOT.glob("tests/real/*.yaml"))
NAMED = {"datasets", "corpora", "encoders", "methods", "tunings", "studies"}
KEYWORDS = {"$schema", "title", "type", "additionalProperties", "required", "properties"}
KEYWORDS |= {"description", "default", "minimum", "maximum", "exclusiveMinimum", "enum", "anyOf"}
KEYWORDS |= {"exclusiveMaximum", "items", "minItems", "uniqueItems", "minLength", "const"}
KEYWORDS |= {"minProperties", "maxItems", "propertyNames", "pattern"}


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


SCHEMA = schema_keys(read())
RECIPES = {
    f"recipe: {recipe}.{key}": default
    for recipe in recipes.known("methods")
    for key, default in constant(f"histopair.methods.{recipe}", "PARAMETERS").items()
}


@pytest.mark.parametrize("made", [generate.reference, generate.editor, generate.encoders_by_name])
def test_what_is_generated_is_what_stands_in_the_repository(made):
    paths = {"reference": generate.REFERENCE, "editor": generate.EDITOR}
    path = (paths | {"encoders_by_name": generate.PRESETS})[made.__name__]
    assert path.read_text(encoding="utf-8") == made(), "run: make docs"


@pytest.mark.parametrize("key", SCHEMA)
def test_a_key_of_the_schema_has_a_meaning_and_is_read_whole(key):
    """An unquoted comma in a YAML map would end the meaning, and begin a keyword of no meaning."""
    schema, _ = SCHEMA[key]
    plain_map = ".tables." in key  # parts of a path's map, named in the meaning of `tables`
    assert schema.get("description", "").strip() or plain_map
    assert set(schema) <= KEYWORDS


def rows(text: str) -> dict[str, list[str]]:
    """The cells of each key of the reference, by section and key."""
    found, section = {}, ""
    for line in text.splitlines():
        if heading := re.match(r"#+ `(.+)`$", line):
            section = heading[1]
        elif line.startswith("## "):
            section = ""
        if (row := re.match(r"\| `([^`]+)` \| (.+) \|$", line)) and section != "Metrics":
            cells = re.split(r"(?<!\\) \| ", row[2])
            found[f"{section}.{row[1]}".lstrip(".")] = cells
    return found


def test_the_reference_has_every_key_once_with_its_default():
    found = rows(REFERENCE)
    shown = {key for key in SCHEMA if ".tables." not in key}
    assert shown | set(RECIPES) <= set(found)
    for key in shown:
        schema, required = SCHEMA[key]
        default = found[key][1]
        if required:
            assert default == "required"
        elif "default" in schema:
            assert yaml.safe_load(default.strip("`")) == schema["default"]
        else:
            assert default == "–"
    for key, default in RECIPES.items():
        assert yaml.safe_load(found[key][1].strip("`")) == default


@pytest.mark.parametrize("recipe", recipes.known("methods"))
def test_every_parameter_of_a_recipe_has_one_meaning(recipe):
    found, shared = (
        editor_schema.descriptions(recipe),
        constant("histopair.methods", "DESCRIPTIONS"),
    )
    parameters = recipes.parameters({"recipe": recipe})
    assert set(parameters) <= set(found)
    assert set(found) - set(shared) <= set(parameters), "it explains what it does not have"


def test_a_parameter_without_a_meaning_is_named(monkeypatch):
    monkeypatch.setattr(recipes, "parameters", lambda method: {"rank": 1, "sharpness": 2.0})
    with pytest.raises(InputError, match="nothing says what its parameter 'sharpness' means"):
        editor_schema.descriptions("lora")


def test_a_shared_meaning_is_of_parameters_that_recipes_have():
    used = {key.split(".")[1] for key in RECIPES}
    assert set(constant("histopair.methods", "DESCRIPTIONS")) <= used


def test_a_parameters_type_is_what_the_config_is_checked_by():
    found = editor_schema.parameters("clip_it") | editor_schema.parameters("fusion_partial")
    assert found["rank"]["minimum"] == 1 and found["distillation_weight"]["minimum"] == 0
    assert found["teacher"]["enum"] == ["fixed", "joint", "none"]
    assert found["unfreeze"]["anyOf"][0]["anyOf"] == [
        {"type": "integer", "minimum": 0},
        {"enum": ["all"]},
    ]
    assert "null" in found["lora"]["type"]
    assert found["augmentations"]["maximum"] == 8


# What editors see.

EDITORS = jsonschema.Draft7Validator(EDITOR)


def seen(config: dict) -> list[str]:
    return [".".join(map(str, error.absolute_path)) for error in EDITORS.iter_errors(config)]


def test_the_editors_schema_is_a_schema():
    jsonschema.Draft7Validator.check_schema(EDITOR)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_an_editor_finds_nothing_wrong_in_the_configs_of_the_repository(path):
    text = path.read_text(encoding="utf-8")
    assert seen(yaml.safe_load(text)) == []
    line = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert (path.parent / line[1]).resolve() == generate.EDITOR


def test_an_editor_allows_a_file_that_adds_to_another():
    assert seen({"methods": {"mine": {"like": "clip-it", "distillation_weight": 2.0}}}) == []


METHODS = [
    {
        "recipe": "clip_it",
        "retriever": "conch",
        "lora": {"rank": 4},
        "datasets": {"a": {"rank": 2}},
    },
    {"recipe": "fusion_partial", "unfreeze": 0},
    {"recipe": "fusion_partial", "unfreeze": {"image": 0}},
    {"recipe": "lora", "lora": None, "epochs": 3},
    {"recipe": "lora", "lora": {"blocks": 2}},
    {"recipe": "lora", "lora": {"blocks": "all"}},
    {"recipe": "fusion_partial", "unfreeze": {"image": "all", "text": 0}},
    {"recipe": "fine_tune", "unfreeze": 2, "start": "probe", "wise": "choose"},
    {"recipe": "fine_tune", "start": "probe", "wise": 0.5, "checkpointing": True},
    {"recipe": "tip_adapter", "train_keys": True},
    {"recipe": "tip_adapter", "train_keys": False},
    {"recipe": "prompt_tuning", "descriptions": {"TUM": "crowded glands"}},
]
WRONG = [
    {"recipe": "clip"},
    {"recipe": "clip_it", "retriever": "conch", "k": 3},
    {"recipe": "clip_it", "retriever": "conch", "lora": {"r": 4}},
    {"recipe": "lora", "lora": {"blocks": 0}},
    {"recipe": "lora", "lora": {"rank": "all"}},
    {"recipe": "clip_it", "retriever": "conch", "teacher": "both"},
    {"recipe": "clip_it", "retriever": "conch", "pairing": "best"},
    {"recipe": "clip_it", "retriever": "conch", "datasets": {"a": {"k": 2}}},
    {"recipe": "clip_it", "retriever": "conch", "datasets": {"a": {"epochs": 0}}},
    {"recipe": "clip_it", "retriever": "conch", "datasets": {"a": {"recipe": "cnn"}}},
    {"recipe": "image_only", "unfreeze": 0},
    {"recipe": "image_only", "unfreeze": "whole"},
    {"recipe": "fine_tune", "checkpointing": "yes"},
    {"recipe": "fine_tune", "wise": "half"},
    {"recipe": "image_only", "augmentations": 9},
    {"recipe": "lora", "epochs": "3"},
    {"recipe": "tip_adapter", "train_keys": 1},
    {"recipe": "prompt_tuning", "descriptions": {"TUM": 3}},
    {"recipe": "prompt_tuning", "descriptions": "crowded glands"},
    {"recipe": "clip_it", "retriever": "conch", "rank": True},
    {"recipe": "clip_it", "retriever": "conch", "distillation_weight": True},
    {"like": "other", "distilation_weight": 2.0},
    {"epochs": 3},
]


def judged(method: dict) -> bool:
    """Whether the workflow takes a config with this method."""
    config = {
        "datasets": {"a": {"reader": "table", "root": "a", "corpus": "r"}},
        "corpora": {"r": {"table": "r.csv"}},
        "encoders": {"conch": {"library": "open_clip", "model": "m"}},
        "methods": {"other": {"recipe": "clip_it", "retriever": "conch"}, "mine": method},
        "studies": {"s": {"datasets": ["a"], "encoders": ["conch"], "methods": ["mine"]}},
    }
    try:
        return bool(load(copy.deepcopy(config)))
    except InputError:
        return False


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_an_editor_takes_what_the_workflow_takes(method):
    assert seen({"methods": {"mine": method}}) == [] and judged(method)


@pytest.mark.parametrize("method", WRONG, ids=str)
def test_an_editor_marks_what_the_workflow_refuses(method):
    assert seen({"methods": {"mine": method}}) and not judged(method)


# What is left to config/README.md.


def test_no_table_of_keys_is_kept_by_hand():
    pages = [ROOT / "README.md", *ROOT.glob("config/*.md"), *ROOT.glob("docs/*.md")]
    kept = [page for page in pages if page != generate.REFERENCE]
    for page in kept:
        assert "| key | type | default" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "folder", ["readers", "encoders.libraries", "training.pretrain", "methods"]
)
def test_every_reader_library_kind_and_recipe_is_explained(folder):
    words = set(re.findall(r"`(?:\w+: )?([a-z_0-9]+)`", README))
    assert set(recipes.known(folder)) <= words


def test_every_metric_is_named():
    assert [name for name in METRICS if f"`{name}`" not in README] == []


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", README, re.S))
def test_examples_are_yaml_with_keys_that_exist(block):
    example = yaml.safe_load(block)
    if not NAMED & set(example) and "phantom" not in example:
        example = {"datasets": {"example": example}}
    assert seen(example) == []
