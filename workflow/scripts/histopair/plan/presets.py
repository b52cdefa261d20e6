"""Encoders by name: entries that encoders/presets.yaml has ready, and the facts that it states."""

import copy
from functools import cache

import yaml

from histopair.datasets.licences import strictest
from histopair.plan.config_files import LOADER
from histopair.plan.mistakes import unknown
from histopair.plan.recipes import PACKAGE

FILE = PACKAGE / "encoders" / "presets.yaml"
FACTS = ("width", "size", "precision", "spacing", "licence", "gated", "context", "citation")
FACTS += ("reading",)
# Maps of which an entry may set single keys.
MERGED = ("kwargs", "pixels", "checkpoint")


@cache
def read() -> dict[str, dict]:
    """By name, `entry` and the FACTS of each preset; presets.yaml says what they are."""
    return yaml.load(FILE.read_text(encoding="utf-8"), LOADER)["presets"]


def licences(name: str) -> list[str]:
    """The licence of a preset's weights, or all where statements conflict."""
    stated = read()[name]["licence"]
    return stated if isinstance(stated, list) else [stated]


def fill(config: dict) -> list[str]:
    """Write into each encoder with a `preset` what it does not say itself. Gives the mistakes."""
    encoders, mistakes = config.get("encoders"), []
    if not isinstance(encoders, dict):
        return []  # the schema reports it
    for name, entry in encoders.items():
        if isinstance(entry, dict) and "preset" in entry:
            wrong = unknown(f"encoders.{name}.preset", entry["preset"], read())
            mistakes += wrong
            encoders[name] = entry if wrong else _filled(entry)
    return mistakes


def entry(name: str) -> dict:
    """The entry of a config that has a preset and says nothing else."""
    return _filled({"preset": name})


def _filled(entry: dict) -> dict:
    preset = copy.deepcopy(read()[entry["preset"]]["entry"])
    preset["licence"] = strictest(licences(entry["preset"]))
    # Both are of the preset's own files: those of another place have others.
    if entry.keys() & {"weights" if "weights" in preset else "model"}:
        preset = {key: preset[key] for key in preset if key not in ("revision", "sha256")}
    both = [key for key in MERGED if isinstance(entry.get(key), dict) and key in preset]
    return preset | entry | {key: preset[key] | entry[key] for key in both}
