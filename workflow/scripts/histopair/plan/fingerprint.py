"""What a rule's code does, as one hash: comments, docstrings, layout and DESCRIPTIONS do not count.

Snakemake sees a script file change only by its time stamp and never sees the modules it imports.
Rules therefore carry `params: code=...`, the hash of the script and of every module of this package
that it imports, directly or through others. Modules found by name at run time (readers, encoders,
methods) cannot be seen in the source and are named to `fingerprint` explicitly.

One cut is declared: a recipe says in the same file how it trains and how its runs predict, and what
only exports and analyses ask for (`AFTER_TRAINING`) is no part of what decides a run.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FunctionType

from histopair.errors import InputError

SCRIPTS = Path(__file__).parents[2]
PACKAGE = "histopair"

# How a job logs, counts threads and words its errors changes no artifact.
PLUMBING = {f"{PACKAGE}.jobs", f"{PACKAGE}.errors"}

DESCRIPTIONS = "DESCRIPTIONS"  # what a recipe's parameters mean, in words: it computes nothing

RECIPES = f"{PACKAGE}.methods."
AFTER_TRAINING = ("predictor", "trained")  # functions of a recipe that no training calls


def fingerprint(script: str, *modules: str, without: tuple[str, ...] = ()) -> str:
    """Hash of `script` (a file name in workflow/scripts), `modules` and all they import.

    `without` names functions at the top of recipes that are left out, and with them what they
    import inside. Raises FileNotFoundError for a script or module that does not exist, and
    InputError for a recipe that uses in its other parts what is left out.
    """
    script_path = SCRIPTS / script
    closure = import_closure({*_imports(script_path), *modules}, without)
    digest = hashlib.sha256(_meaning(script_path).encode())
    for module in sorted(closure):
        meaning = _meaning(module_path(module), _cut(module, without))
        digest.update(f"\n{module}\n{meaning}".encode())
    return digest.hexdigest()[:16]


def import_closure(modules: set[str], without: tuple[str, ...] = ()) -> set[str]:
    """`modules` and every module of the package that they import, however deep."""
    found: set[str] = set()
    waiting = set(modules) - PLUMBING
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= _imports(module_path(module), _cut(module, without)) - found - PLUMBING
    return found


def module_path(module: str) -> Path:
    """The file of a module of the package."""
    path = SCRIPTS / Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(f"no module {module} under {SCRIPTS}")


def constant(module: str, name: str) -> object:
    """A literal assigned at the top of a module, read without importing it (and so without torch).

    Raises KeyError if the module assigns no such literal.
    """
    for node in _tree(module_path(module)).body:
        if _assigns(node, name):
            return ast.literal_eval(node.value)
    raise KeyError(f"{module} has no constant {name}")


@cache
def function(module: str, name: str) -> FunctionType | None:
    """A function at the top of a module, compiled without the rest of it; None if there is none.

    It sees its arguments and what it imports itself, and nothing else of its module.
    """
    scope = {"__name__": module}
    if defines(module, name):
        own = [node for node in _tree(module_path(module)).body if _is_function(node, (name,))]
        exec(compile(ast.Module(own, []), str(module_path(module)), "exec"), scope)
    return scope.get(name)


def defines(module: str, name: str) -> bool:
    """Whether a function stands at the top of a module."""
    return any(_is_function(node, (name,)) for node in _tree(module_path(module)).body)


def _cut(module: str, without: tuple[str, ...]) -> tuple[str, ...]:
    return without if module.startswith(RECIPES) else ()


@cache
def _imports(path: Path, without: tuple[str, ...] = ()) -> frozenset[str]:
    names = set()
    for node in _statements(_tree(path, without)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(name for name in names if _is_module(name) and name != PACKAGE)


def _is_module(name: str) -> bool:
    if name.split(".")[0] != PACKAGE:
        return False
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
    """All statements below a node: far fewer than its nodes, and every start of Snakemake waits."""
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, part, ()):
            yield child
            yield from _statements(child)


@cache
def _tree(path: Path, without: tuple[str, ...] = ()) -> ast.Module:
    """The syntax tree of a file, without some of its top-level functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not _is_function(node, without)]
    for name in sorted(_named(tree) & set(without)):
        problem = f"it uses {name!r} where it trains, and that function is no part of a run's code"
        raise InputError(path, problem, "Give what both parts of the recipe share another name")
    return tree


def _is_function(node: ast.AST, names: tuple[str, ...]) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name in names


def _named(tree: ast.Module) -> set[str]:
    """Every name that a tree mentions: as a variable, as an attribute or in an import."""
    kinds = {ast.Name: "id", ast.Attribute: "attr", ast.alias: "name"}
    return {getattr(node, kinds[type(node)]) for node in ast.walk(tree) if type(node) in kinds}


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _assigns(node: ast.AST, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else ()
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)
