"""List the encoders that a config can have by name, or show one of them.

    histopair presets --open --text
    histopair presets uni2-h

An entry of the config names one so: `encoders: {mine: {preset: uni2-h}}`.
"""

import argparse

import yaml

import commands
from histopair.errors import InputError, nearest
from histopair.plan import presets

HEAD = ("preset", "library", "width", "size", "text", "µm/px", "gated", "licence")


def main(words: list[str]) -> None:
    options = _parser().parse_args(words)
    if options.name is not None:
        print(shown(options.name))
        return
    names = [name for name in presets.read() if _fits(name, options)]
    rows = [HEAD, *map(_row, names)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())
    print(f"{len(names)} of {len(presets.read())}; histopair presets NAME shows one")


def _parser() -> argparse.ArgumentParser:
    parser = commands.parser("presets", __doc__)
    parser.add_argument("name", nargs="?", help="show all that is known of this one")
    parser.add_argument("--licence", metavar="WORD", help="only those in whose licence it stands")
    access = parser.add_mutually_exclusive_group()
    access.add_argument("--gated", action="store_true", help="only those that one has to ask for")
    access.add_argument("--open", action="store_true", help="only those without a gate")
    parser.add_argument("--text", action="store_true", help="only those with a text tower")
    return parser


def _fits(name: str, options: argparse.Namespace) -> bool:
    """A licence is that of all statements; a gate that nobody told of is neither there nor not."""
    preset, word = presets.read()[name], options.licence
    licensed = not word or any(word.casefold() in x.casefold() for x in presets.licences(name))
    gate = {True: options.gated, False: options.open}.get(preset["gated"], False)
    accessible = gate or not (options.gated or options.open)
    return licensed and accessible and (not options.text or preset["context"] != 0)


def _row(name: str) -> tuple[str, ...]:
    preset = presets.read()[name]
    size = {0: "-", None: "?"}.get(preset["size"], preset["size"])
    text = {0: "-", None: "yes"}.get(preset["context"], preset["context"])
    gate = {True: "yes", False: "no"}.get(preset["gated"], "?")
    licence = " or ".join(presets.licences(name))
    spacing = _numbers(preset["spacing"])
    cells = preset["entry"]["library"], preset["width"], size, text, spacing, gate, licence
    return name, *map(str, cells)


def _numbers(value: float | list | None) -> str:
    values = value if isinstance(value, list) else [value]
    return "-" if value is None else ", ".join(map(str, values))


def shown(name: str) -> str:
    """All that presets.yaml says of one. Raises InputError for a name that it has not."""
    if name not in presets.read():
        problem = f"there is no preset {name!r}{nearest(name, presets.read())}"
        raise InputError("presets", problem, "histopair presets lists them")
    preset = presets.read()[name]
    content = {name: {"entry": preset["entry"]} | {fact: preset[fact] for fact in presets.FACTS}}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100).rstrip()
