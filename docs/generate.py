"""Writes docs/config.md, docs/presets.md and the schema that editors load.

Run it by `make docs`; tests/test_config_docs.py asks that the files are what it writes.
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

from editor_schema import editor_schema, parameters

from histopair.evaluation.metrics import METRICS, sign
from histopair.plan import presets, recipes, schema
from histopair.plan.fingerprint import module_path

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "config.md"
PRESETS = ROOT / "docs" / "presets.md"
EDITOR = ROOT / "workflow" / "schemas" / "config.editor.schema.json"
HEAD = """<!-- Written by `make docs` from config.schema.yaml and the recipes: change it there. -->

# Every key of the config

[config/README.md](../config/README.md) explains how the parts work together, with examples. `NAME`
is a name that you choose; *–* means: no default, nothing happens without it.
"""
HEAD_OF_PRESETS = """<!-- Written by `make docs` from encoders/presets.yaml: change it there. -->

# Encoders by name

`encoders: {mine: {preset: uni2-h}}` in the config takes one of these; any of its keys can be set
otherwise. `histopair presets NAME` shows the whole entry. Sizes are in pixels, spacings in µm per
pixel where the authors state one; texts are the tokens that a text may have. *–* means that there
is none, *?* that no source was read. Of several licences the strictest counts.

"""
FOLDERS = {"Readers": "readers", "Libraries": "encoders.libraries", "Kinds": "training.pretrain"}
ABOUT = {
    "Readers": "Formats of datasets and of reports, by `reader`.",
    "Libraries": "Where encoders come from, by `library`.",
    "Kinds": "What `encoders.NAME.train` trains, by `kind`.",
}


def reference() -> str:
    """docs/config.md."""
    whole = schema.read()
    parts = [HEAD, "## The whole file\n", _table(_top(whole))]
    for path, node in _sections(whole):
        parts += [f"## `{path}`\n", f"{node.get('description', '')}\n", _table(_rows(node))]
    parts.append(
        "## Recipes\n\nWhat a method takes beside the keys of `methods.NAME`, by `recipe`.\n"
    )
    for recipe in recipes.known("methods"):
        parts += [f"### `recipe: {recipe}`\n", f"{_first_words('methods', recipe)}\n"]
        own = parameters(recipe)
        parts.append(_table(_rows({"properties": own})) if own else "It has no parameters.\n")
    for title, folder in FOLDERS.items():
        parts += [f"## {title}\n", f"{ABOUT[title]}\n", _found(folder)]
    return "\n".join([*parts, "## Metrics\n", _metrics()])


def encoders_by_name() -> str:
    """docs/presets.md."""
    head = ("preset", "width", "size", "spacing", "text", "gated", "licence", "citation", "reading")
    return HEAD_OF_PRESETS + _lines(head, [_preset(name) for name in presets.read()])


def _preset(name: str) -> tuple[str, ...]:
    preset = presets.read()[name]
    size, text = ({0: "–", None: "?"}.get(preset[key], preset[key]) for key in ("size", "context"))
    gated = {True: "yes", False: "no"}.get(preset["gated"], "?")
    spacing = str(preset["spacing"] or "–").strip("[]")
    licence, citation = " or ".join(presets.licences(name)), preset["citation"]
    link = f"[{citation}](https://doi.org/{citation})" if citation else "–"
    facts = preset["width"], size, spacing, text, gated, licence, link, preset["reading"] or ""
    return f"`{name}`", *map(str, facts)


def editor() -> str:
    """The schema that editors load."""
    return json.dumps(editor_schema(), indent=1, ensure_ascii=False) + "\n"


def _sections(node: dict, path: str = "") -> Iterator[tuple[str, dict]]:
    """Path and schema of each map of keys, the whole file left out: "studies.NAME.claims"."""
    for key, sub in node.get("properties", {}).items():
        here = f"{path}.{key}".lstrip(".")
        entries = sub.get("additionalProperties")
        if "properties" in sub and not path:
            yield here, sub
        if "properties" in sub.get("items", {}):
            yield here, sub["items"] | {"description": sub["description"]}
        if isinstance(entries, dict) and "properties" in entries:
            yield f"{here}.NAME", entries | {"description": sub["description"]}
            yield from _sections(entries, f"{here}.NAME")


def _top(whole: dict) -> Iterator[tuple[str, ...]]:
    for key, sub in whole["properties"].items():
        yield _row(key, sub, whole)


def _rows(node: dict, before: str = "") -> Iterator[tuple[str, ...]]:
    """Key, type, default and meaning of each key, also inside the maps of a section."""
    for key, sub in node["properties"].items():
        yield _row(before + key, sub, node)
        if "properties" in sub and "description" in next(iter(sub["properties"].values())):
            yield from _rows(sub, f"{before}{key}.")


def _row(key: str, sub: dict, node: dict) -> tuple[str, ...]:
    required = key.rsplit(".", 1)[-1] in node.get("required", ())
    default = f"`{_value(sub['default'])}`" if "default" in sub else "–"
    return f"`{key}`", _kind(sub), "required" if required else default, sub.get("description", "")


def _kind(sub: dict) -> str:
    """The values that a key may have, in words."""
    if "anyOf" in sub:
        return " or ".join(dict.fromkeys(map(_kind, sub["anyOf"])))
    values = [
        f"`{_value(value)}`" for value in sub.get("enum", [sub["const"]] if "const" in sub else [])
    ]
    if values:
        return " or ".join([", ".join(values[:-1]), values[-1]] if values[1:] else values)
    named = {"object": "map", "boolean": "true or false", "array": "list"}
    types = sub["type"] if isinstance(sub["type"], list) else [sub["type"]]
    return " or ".join(named.get(name, name) for name in types) + _range(sub) + _items(sub)


def _range(sub: dict) -> str:
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    said = [f"{sign} {sub[bound]}" for bound, sign in bounds.items() if bound in sub]
    return f" {', '.join(said)}" if said else ""


def _items(sub: dict) -> str:
    plural = {"string": "strings", "integer": "integers", "number": "numbers", "map": "maps"}
    parts = _kind(sub["items"]).split(" ") if "items" in sub else []
    return f" of {' '.join(plural.get(part, part) for part in parts)}" if parts else ""


def _value(value: object) -> str:
    """A value as YAML has it in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(part)}" for key, part in value.items()) + "}"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _found(folder: str) -> str:
    """A table of the modules of a folder, with their own first words."""
    rows = [(f"`{name}`", _first_words(folder, name)) for name in recipes.known(folder)]
    return _lines(("name", "what"), rows)


def _first_words(folder: str, name: str) -> str:
    """The first paragraph of a module's docstring."""
    text = module_path(f"histopair.{folder}.{name}").read_text(encoding="utf-8")
    return " ".join(ast.get_docstring(ast.parse(text)).split("\n\n")[0].split())


def _metrics() -> str:
    words = {"single": "single-label", "multi": "multi-label", "survival": "survival"}
    rows = [
        (
            f"`{name}`",
            metric.title,
            " and ".join(words[task] for task in metric.tasks),
            "higher" if sign(name) > 0 else "lower",
        )
        for name, metric in METRICS.items()
    ]
    return _lines(("metric", "title", "tasks", "better"), rows)


def _table(rows: Iterator[tuple[str, ...]]) -> str:
    return _lines(("key", "type", "default", "meaning"), rows)


def _lines(head: tuple[str, ...], rows) -> str:
    lines = [head, ("---",) * len(head), *rows]
    cells = [[cell.replace("|", "\\|").replace("<", "&lt;") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
    PRESETS.write_text(encoders_by_name(), encoding="utf-8")
    EDITOR.write_text(editor(), encoding="utf-8")
