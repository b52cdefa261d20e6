"""Paths of the config: `~` and ${NAME} are written out, and braces are refused."""

import os
import re

# By section, the keys that are paths. Those below a dataset's root are not expanded.
PATHS = {
    "datasets": ("root", "labels_map", "truth", "clinical", "features"),
    "corpora": ("table", "tables", "cancer_types", "truth"),
    "encoders": ("weights", "model"),
    "studies": ("published",),
}
BELOW_ROOT = ("table", "folders")
LOCAL = "local-dir:"


def paths(config: dict) -> list[str]:
    """Mistakes of the config's paths; what can be written out is written out in place."""
    found = []
    for section, keys in PATHS.items():
        for name, entry in config[section].items():
            for key in (key for key in keys if key in entry):
                place = f"{section}.{name}.{key}"
                entry[key], wrong = _expanded(place, entry[key])
                found += wrong
    for name, entry in config["datasets"].items():
        for key in (key for key in BELOW_ROOT if key in entry):
            found += [line for path in _each(entry[key]) for line in _braces(name, key, path)]
    return found


def _each(value: object) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _braces(dataset: str, key: str, path: str) -> list[str]:
    return _expanded(f"datasets.{dataset}.{key}", path)[1] if set("{}") & set(path) else []


def _expanded(key: str, value: object) -> tuple[object, list[str]]:
    """A path, or a map or list of paths or of maps with a `table`, written out; its mistakes."""
    if isinstance(value, list):
        parts = [_expanded(f"{key}.{place}", part) for place, part in enumerate(value)]
        return [part for part, _ in parts], [line for _, wrong in parts for line in wrong]
    if isinstance(value, dict) and "table" in value:
        table, wrong = _expanded(f"{key}.table", value["table"])
        return value | {"table": table}, wrong
    if isinstance(value, dict):
        parts = {name: _expanded(f"{key}.{name}", path) for name, path in value.items()}
        told = [line for _, wrong in parts.values() for line in wrong]
        return {name: path for name, (path, _) in parts.items()}, told
    start = LOCAL if value.startswith(LOCAL) else ""
    path = os.path.expanduser(os.path.expandvars(value.removeprefix(start)))
    if unknown := re.search(r"\$\{(\w+)\}", path):
        return value, [
            f"{key}: {value!r} names the environment variable {unknown[1]}, not set here"
        ]
    if set("{}") & set(path):
        problem = "has braces, which Snakemake takes for wildcards; rename it, or give a link to it"
        return value, [f"{key}: {value!r} {problem}"]
    return start + path, []
