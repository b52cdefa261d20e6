"""Config files as they are written: reports what Snakemake drops silently when it reads them.

YAML and JSON take the last of two equal keys. A file that cannot be read, is not a map, or has a
key twice gives one line that names the file and the lines concerned.
"""

import json
from pathlib import Path

import yaml

from histopair.errors import InputError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MERGE = "tag:yaml.org,2002:merge"  # `<<` may occur more than once


def check(path: str | Path) -> None:
    """Raise InputError, with the line, unless a file is a map whose keys each occur once."""
    text = _text(path)
    if not _is_json(path, text):
        _check_yaml(path, text)


def _text(path: str | Path) -> str:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        remedy = "Correct the path, or its permissions"
        raise InputError(path, f"it cannot be read ({error.strerror})", remedy) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        problem = "it is UTF-16" if wide else f"the byte {content[error.start]:#04x} is not UTF-8"
        line = None if wide else content[: error.start].count(b"\n") + 1
        raise _wrong(path, line, problem, "Save it as UTF-8") from error


def _is_json(path: str | Path, text: str) -> bool:
    """Whether a file is JSON, which YAML's reader may refuse. Raises for mistakes in it."""

    def once(pairs: list[tuple]) -> dict:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise _wrong(path, None, f"the key {name!r} occurs twice in one map", "Keep one")
        return dict(pairs)

    try:
        content = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError):
        return False
    if not isinstance(content, dict):
        raise _no_map(path)
    return True


def _check_yaml(path: str | Path, text: str) -> None:
    try:
        node = yaml.compose(text, LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _wrong(path, mark.line + 1, _words(error, text, mark), "Correct it") from error
    except yaml.YAMLError as error:
        raise _wrong(path, None, f"it is not YAML ({error})", "Correct it") from error
    except RecursionError as error:
        raise _wrong(path, None, "it is nested too deeply", "Flatten it") from error
    if not isinstance(node, yaml.MappingNode):
        raise _no_map(path)
    _once(path, node, [], set())


def _words(error: yaml.MarkedYAMLError, text: str, mark: yaml.Mark) -> str:
    line = text.splitlines()[mark.line] if mark.line < len(text.splitlines()) else ""
    if "\t" in line[: mark.column + 1]:
        return "it is indented with a tab, and YAML takes only spaces"
    return f"it is not YAML: {error.problem}"


def _once(path: str | Path, node: yaml.Node, above: list[yaml.Node], seen: set[int]) -> None:
    """Raise for a key that a map below `node` has twice, and for a part that contains itself."""
    if any(node is other for other in above):
        line = node.start_mark.line + 1
        raise _wrong(path, line, "an alias names a part that contains it", "Write it out")
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    parts = list(node.value)
    if isinstance(node, yaml.MappingNode):
        _distinct(path, [key for key, _ in parts])
        parts = [value for _, value in parts]
    for part in parts:
        _once(path, part, [*above, node], seen)


def _distinct(path: str | Path, keys: list[yaml.Node]) -> None:
    first: dict[str, yaml.Node] = {}
    for key in keys:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise _wrong(path, line, "a key is a list or a map", "Write a name")
        other = first.setdefault(key.value, key)
        if other is not key and key.tag != MERGE:
            lines = f"{other.start_mark.line + 1} and {line}"
            problem = f"the key {key.value!r} occurs twice in one map, and the first would be lost"
            raise InputError(f"{path}, lines {lines}", problem, "Put all into one")


def _no_map(path: str | Path) -> InputError:
    remedy = "It needs `datasets:`, `encoders:`, `methods:` and `studies:`; see config/README.md"
    return InputError(path, "it is empty, or not a map of keys", remedy)


def _wrong(path: str | Path, line: int | None, problem: str, remedy: str) -> InputError:
    return InputError(path if line is None else f"{path}, line {line}", problem, remedy)
