"""`histopair NAME ...`: finds the command among the files of this folder and calls it."""

import ast
import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from histopair.errors import InputError, nearest


def names() -> dict[str, Path]:
    """The file of each command."""
    files = sorted(Path(__file__).parent.glob("[!_]*.py"))
    return {path.stem.replace("_", "-"): path for path in files}


def help_text() -> str:
    """Each command with the first line of its docstring, read without importing it."""
    lines = ["histopair COMMAND ..., and histopair COMMAND --help:", ""]
    for name, path in names().items():
        purpose = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()[0]
        lines.append(f"  {name:15} {purpose}")
    return "\n".join(lines)


def main(words: list[str]) -> int | None:
    """Call the command that the first word names. An InputError gives one line and status 1."""
    if not words or words[0] in ("-h", "--help"):
        print(help_text())
        return 0 if words else 2
    name, *others = words
    if name not in names():
        near = nearest(name, names())
        sys.exit(f"histopair: there is no command {name!r}{near}. Choose {', '.join(names())}")
    try:
        return importlib.import_module(f"commands.{name.replace('-', '_')}").main(others)
    except InputError as mistake:
        sys.exit(f"histopair: {mistake}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
