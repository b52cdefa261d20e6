"""docs/design.md names the package's rooms from the ground up, and no import goes up.

Imports inside functions count. With no import up there is no circle between rooms.
"""

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
PACKAGE = SCRIPTS / "histopair"
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
ROOMS = re.findall(r"^\| `(\w+)` \|", DESIGN.split("## Rooms")[1].split("\n## ")[0], re.M)


def module_of(path: Path) -> str:
    parts = path.relative_to(SCRIPTS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in PACKAGE.rglob("*.py")}


def imported(source: str, modules) -> set[str]:
    """Those of `modules` that a source imports, at its top or in a function."""
    return {name for names in _named(ast.parse(source)) for name in _deepest(names, modules)}


def _named(tree: ast.AST) -> Iterator[list[str]]:
    """For each name imported all that it can mean: `from a import b` is a.b, or b of a."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ([alias.name] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "the fingerprint of code sees no relative imports"
            yield from ([f"{node.module}.{alias.name}", node.module] for alias in node.names)


def _deepest(names: list[str], modules) -> list[str]:
    return [name for name in names if name in modules][:1]


IMPORTS = {
    module: imported(path.read_text(encoding="utf-8"), FILES) - {module}
    for module, path in FILES.items()
}


def room(module: str) -> str:
    return module.split(".")[1]


def test_the_design_names_every_room_once():
    entries = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith("__")}
    assert sorted(ROOMS) == sorted(entries)


@pytest.mark.parametrize("module", sorted(FILES.keys() - {"histopair"}))
def test_no_import_goes_up(module):
    floor = ROOMS.index(room(module))
    above = {
        other
        for other in IMPORTS[module] - {"histopair"}
        if room(other) != room(module) and ROOMS.index(room(other)) > floor
    }
    assert not above


def test_no_files_import_each_other_in_a_circle():
    graphlib.TopologicalSorter(IMPORTS).prepare()


@pytest.mark.parametrize("room", [name for name in FILES if (FILES[name].name == "__init__.py")])
def test_no_name_of_a_package_is_also_a_module_of_it(room):
    """`from images import pixels` would give the one or the other, by what was imported before."""
    path = FILES[room]
    modules = {other.stem for other in path.parent.iterdir()}
    defined = {
        node.name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    assert not defined & modules


def test_imports_are_seen_wherever_they_stand():
    source = """
from a import b, value
import a.c

def lazy():
    from a.d import name
    import numpy
"""
    assert imported(source, {"a", "a.b", "a.c", "a.d"}) == {"a", "a.b", "a.c", "a.d"}
    assert imported("from a import b", {"a", "a.b"}) == {"a.b"}
