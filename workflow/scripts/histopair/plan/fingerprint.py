"""What a rule's code does, as one hash: comments, docstrings, layout and DESCRIPTIONS do not count.

Snakemake notices a changed script only by its time stamp, and never sees the modules it imports.
So rules have `params: code=...`, the hash of the script and of every module of this package that
it imports, directly or through others. Modules found by name at run time (readers, encoders,
methods) are not visible in the source, so rules name them to `fingerprint`.

There is one exception: a recipe says in one file how it trains and how its runs predict. The
functions that only exports and analyses call (`AFTER_TRAINING`) do not count for a run.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FunctionType

from histopair.errors import InputError
from histopair.files.store import checksum
from histopair.plan import kept

SCRIPTS = Path(__file__).parents[2]
PACKAGE = "histopair"

# How a job logs, counts threads and words its errors does not change an artifact.
PLUMBING = {f"{PACKAGE}.jobs", f"{PACKAGE}.errors"}

_content = cache(checksum)

DESCRIPTIONS = "DESCRIPTIONS"  # what a recipe's parameters mean: computes nothing

RECIPES = f"{PACKAGE}.methods."
AFTER_TRAINING = ("predictor", "trained")  # functions of a recipe that training never calls


def fingerprint(script: str, *modules: str, without: tuple[str, ...] = ()) -> str:
    """Hash of `script` (a file name in workflow/scripts), `modules` and all they import.

    `without` names top-level functions of recipes to leave out, with the imports inside them.
    Raises FileNotFoundError for a script or module that does not exist, and InputError for a recipe
    whose other parts use what is left out.
    """
    script_path = SCRIPTS / script
    closure = sorted(import_closure({*_imports(script_path), *modules}, without))
    files = [(module, module_path(module), _cut(module, without)) for module in closure]
    contents = [(module, _content(path), cut) for module, path, cut in files]
    question = ["fingerprint", _content(Path(__file__)), _content(script_path), contents]
    return kept.here().answer(question, lambda: _hashed(script_path, files))


def _hashed(script: Path, files: list[tuple[str, Path, tuple[str, ...]]]) -> str:
    digest = hashlib.sha256(_meaning(script).encode())
    for module, path, cut in files:
        digest.update(f"\n{module}\n{_meaning(path, cut)}".encode())
    return digest.hexdigest()[:16]


def import_closure(modules: set[str], without: tuple[str, ...] = ()) -> set[str]:
    """`modules` and every module of the package that they import, however deep."""
    closure: set[str] = set()
    waiting = set(modules) - PLUMBING
    while waiting:
        module = waiting.pop()
        closure.add(module)
        waiting |= _imports(module_path(module), _cut(module, without)) - closure - PLUMBING
    return closure


def module_path(module: str) -> Path:
    """The file of a module of the package."""
    return _module_path(SCRIPTS, module)


@cache
def _module_path(scripts: Path, module: str) -> Path:
    path = scripts / Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(f"no module {module} under {scripts}")


def constant(module: str, name: str) -> object:
    """A literal assigned at the top of a module, read without an import (and so without torch).

    Raises KeyError if the module assigns no such literal.
    """
    path = module_path(module)
    if name not in _assigned(path):
        raise KeyError(f"{module} has no constant {name}")
    return ast.literal_eval(_assigned(path)[name])


@cache
def _assigned(path: Path) -> dict[str, ast.expr]:
    """What each name at the top of a file is first assigned."""
    nodes = [node for node in _tree(path).body if isinstance(node, ast.Assign)]
    pairs = [(target, node.value) for node in nodes for target in node.targets]
    names = [(target.id, value) for target, value in pairs if isinstance(target, ast.Name)]
    return dict(reversed(names))


@cache
def function(module: str, name: str) -> FunctionType | None:
    """A function at the top of a module, compiled without the rest of it; None if there is none.

    It sees its arguments and what it imports itself, and nothing else in its module.
    """
    scope = {"__name__": module}
    if defines(module, name):
        path = module_path(module)
        body = [node for node in _tree(path).body if _is_function(node, (name,))]
        exec(compile(ast.Module(body, []), str(path), "exec"), scope)
    return scope.get(name)


def defines(module: str, name: str) -> bool:
    """Whether a module has a function at its top level."""
    return any(_is_function(node, (name,)) for node in _tree(module_path(module)).body)


def _cut(module: str, without: tuple[str, ...]) -> tuple[str, ...]:
    return without if module.startswith(RECIPES) else ()


@cache
def _imports(path: Path, without: tuple[str, ...] = ()) -> frozenset[str]:
    question = ["imports", _content(Path(__file__)), _content(path), without]
    names = kept.here().answer(question, lambda: _imported(path, without))
    return frozenset(name for name in names if _is_module(name) and name != PACKAGE)


def _imported(path: Path, without: tuple[str, ...]) -> list[str]:
    """Everything that a file may import from the package, modules and what they define."""
    names = set()
    for node in _statements(_tree(path, without)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return sorted(name for name in names if name.split(".")[0] == PACKAGE)


def _is_module(name: str) -> bool:
    try:
        module_path(name)
    except FileNotFoundError:
        return False
    return True


@cache
def _meaning(path: Path, without: tuple[str, ...] = ()) -> str:
    """The syntax tree without docstrings, DESCRIPTIONS or positions, as text."""
    tree = _tree(path, without)
    for node in [tree, *_statements(tree)]:
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            body[:1] = []
    computing = [node for node in tree.body if not _assigns(node, DESCRIPTIONS)]
    whole = ast.Module(computing, tree.type_ignores)
    return ast.dump(whole, annotate_fields=False, include_attributes=False)


def _statements(node: ast.AST) -> Iterator[ast.stmt | ast.ExceptHandler | ast.match_case]:
    """All statements below a node. ast.walk visits all nodes and slows every Snakemake start."""
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, part, ()):
            yield child
            yield from _statements(child)


@cache
def _tree(path: Path, without: tuple[str, ...] = ()) -> ast.Module:
    """The syntax tree of a file, without some of its top-level functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not _is_function(node, without)]
    for name in sorted(without and _named(tree) & set(without)):
        problem = f"it uses {name!r} where it trains, and that function is not part of a run's code"
        raise InputError(path, problem, "Give another name to what both parts share")
    return tree


def _is_function(node: ast.AST, names: tuple[str, ...]) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name in names


def _named(tree: ast.Module) -> set[str]:
    """Every name that a tree mentions: as a variable, as an attribute or in an import."""
    kinds = {ast.Name: "id", ast.Attribute: "attr", ast.alias: "name"}
    return {getattr(node, kinds[type(node)]) for node in ast.walk(tree) if type(node) in kinds}


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)


def _assigns(node: ast.AST, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else ()
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)
