"""What a rule's code does, as one hash: comments, docstrings, layout and DESCRIPTIONS do not count.

Snakemake sees a script file change only by its time stamp and never sees the modules it imports.
Rules therefore carry `params: code=...`, the hash of the script and of every module of this package
that it imports, directly or through others. Modules found by name at run time (readers, encoders,
methods) cannot be seen in the source and are named to `fingerprint` explicitly.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).parents[2]
PACKAGE = "histopair"

# How a job logs, counts threads and words its errors changes no artifact.
PLUMBING = {f"{PACKAGE}.jobs", f"{PACKAGE}.errors"}

DESCRIPTIONS = "DESCRIPTIONS"  # what a recipe's parameters mean, in words: it computes nothing


def fingerprint(script: str, *modules: str) -> str:
    """Hash of `script` (a file name in workflow/scripts), `modules` and all they import.

    Raises FileNotFoundError for a script or module that does not exist.
    """
    script_path = SCRIPTS / script
    closure = import_closure({*_imports(script_path), *modules})
    digest = hashlib.sha256(_meaning(script_path).encode())
    for module in sorted(closure):
        digest.update(f"\n{module}\n{_meaning(module_path(module))}".encode())
    return digest.hexdigest()[:16]


def import_closure(modules: set[str]) -> set[str]:
    """`modules` and every module of the package that they import, however deep."""
    found: set[str] = set()
    waiting = set(modules) - PLUMBING
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= _imports(module_path(module)) - found - PLUMBING
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
def _imports(path: Path) -> frozenset[str]:
    names = set()
    for node in _statements(_tree(path)):
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
def _meaning(path: Path) -> str:
    """The syntax tree without docstrings, DESCRIPTIONS or positions, as text."""
    tree = _tree(path)
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
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _assigns(node: ast.AST, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else ()
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)
