"""Paths of the config: `~` and ${NAME} are expanded, and braces are refused."""

import os
import re

# By section, the keys that are paths. Paths below a dataset's root are not expanded.
PATHS = {
    "datasets": ("root", "labels_map", "amendments", "truth", "clinical", "features"),
    "corpora": ("table", "tables", "cancer_types", "truth"),
    "encoders": ("weights", "model", "pretrained"),
    "studies": ("published",),
}
BELOW_ROOT = ("table", "folders")
LOCAL = "local-dir:"


def paths(config: dict) -> list[str]:
    """Mistakes in the config's paths, which are expanded in place."""
    mistakes = []
    for section, keys in PATHS.items():
        for name, entry in config[section].items():
            for key in (key for key in keys if key in entry):
                entry[key], lines = _expanded(f"{section}.{name}.{key}", entry[key])
                mistakes += lines
    for name, entry in config["datasets"].items():
        for key in (key for key in BELOW_ROOT if key in entry):
            below = [entry[key]] if isinstance(entry[key], str) else entry[key]
            for path in (path for path in below if set("{}") & set(path)):
                mistakes += _expanded(f"datasets.{name}.{key}", path)[1]
    return mistakes


def _expanded(key: str, value: object) -> tuple[object, list[str]]:
    """A path, or a map or list of paths or of maps with a `table`, expanded; and its mistakes."""
    if isinstance(value, list):
        parts = [_expanded(f"{key}.{place}", part) for place, part in enumerate(value)]
        return [part for part, _ in parts], [line for _, lines in parts for line in lines]
    if isinstance(value, dict) and "table" in value:
        table, lines = _expanded(f"{key}.table", value["table"])
        return value | {"table": table}, lines
    if isinstance(value, dict):
        parts = {name: _expanded(f"{key}.{name}", path) for name, path in value.items()}
        mistakes = [line for _, lines in parts.values() for line in lines]
        return {name: path for name, (path, _) in parts.items()}, mistakes
    start = LOCAL if value.startswith(LOCAL) else ""
    path = os.path.expanduser(os.path.expandvars(value.removeprefix(start)))
    if unset := re.search(r"\$\{(\w+)\}", path):
        problem = f"names the environment variable {unset[1]}, which is not set"
        return value, [f"{key}: {value!r} {problem}"]
    if set("{}") & set(path):
        problem = "has braces, which Snakemake takes for wildcards; rename it, or give a link to it"
        return value, [f"{key}: {value!r} {problem}"]
    return start + path, []
