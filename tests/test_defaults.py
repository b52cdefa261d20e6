"""A default is written in the schema or in a recipe; wherever code repeats it, it is the same."""

import ast
import inspect
from pathlib import Path

import pytest
from test_config_docs import RECIPES, SCHEMA

from histopair.datasets import splits

PACKAGE = Path(splits.__file__).parents[1]


def declared() -> dict[str, list]:
    """The defaults of each key, by its last name: {"max_quarantined": [0.05]}."""
    found: dict[str, list] = {}
    for key, (schema, _) in SCHEMA.items():
        if "default" in schema:
            found.setdefault(key.split(".")[-1], []).append(schema["default"])
    for key, default in RECIPES.items():
        found.setdefault(key.split(".")[-1], []).append(default)
    return found


def repeated() -> list[tuple[str, str, object]]:
    """Each `.get("key", default)` of the package: place, key, default."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(tree):
            if _is_get(call):
                key, default = call.args
                default = constants.get(getattr(default, "id", None), default)
                try:
                    value = ast.literal_eval(default)
                except ValueError:
                    continue  # another value of the entry, not a constant
                place = f"{path.relative_to(PACKAGE)}:{call.lineno}"
                found.append((place, key.value, value))
    return found


def _is_get(node: ast.AST) -> bool:
    """A call of `get` with a text and a default."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and len(node.args) == 2
        and isinstance(node.args[0], ast.Constant)
    )


DECLARED = declared()
NO_ENTRIES = (
    "plan/mistakes.py",
    "pages/leak_table.py",
)  # what they read is no entry of the config
REPEATED = [
    (place, key, value)
    for place, key, value in repeated()
    if key in DECLARED and value not in ("", (), [], {}) and not place.startswith(NO_ENTRIES)
]


def test_there_are_repeated_defaults():
    assert {"max_quarantined", "min_words", "augmentations"} <= {key for _, key, _ in REPEATED}


@pytest.mark.parametrize(("place", "key", "value"), REPEATED, ids=lambda value: str(value)[:40])
def test_a_repeated_default_is_the_declared_one(place, key, value):
    assert value in DECLARED[key], f"{place}: {key} is {value!r}, declared {DECLARED[key]}"


def test_the_split_that_code_makes_by_itself_is_the_schemas():
    default = SCHEMA["datasets.NAME.split"][0]["default"]
    parameters = inspect.signature(splits.assign).parameters
    own = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
    assert own.items() <= default.items()
