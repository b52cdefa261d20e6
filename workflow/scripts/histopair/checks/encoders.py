"""Checks of the config's encoders and of how they are trained."""

from histopair import configuration
from histopair.checks.data import patterns
from histopair.fingerprint import constant
from histopair.mistakes import unknown, unread

# Keys that these kinds of training alone read.
TRAINED_BY = {"architecture": ("classifier",), "vocabulary": ("masked_language",)}
TRAINED_BY |= {key: ("locked_clip",) for key in ("corpora", "match", "towers")}


def encoders(config: dict) -> list[str]:
    """Mistakes of the name kept for the oracle, of libraries and of trainings."""
    found = []
    if "oracle" in config["encoders"]:
        found.append("encoders.oracle: this name is kept for pairs made from the truth")
    for name, entry in config["encoders"].items():
        libraries = configuration.known("encoders")
        wrong = unknown(f"encoders.{name}.library", entry["library"], libraries)
        found += wrong or _unread(name, entry, libraries)
        if entry.get("backbone"):
            found += unknown(f"encoders.{name}.backbone", entry["backbone"], config["encoders"])
        if entry.get("train"):
            found += _training(name, entry, config)
    return found


def _unread(name: str, entry: dict, libraries: list[str]) -> list[str]:
    """Keys that the encoder's library does not read, and those that do."""
    keys = {library: _keys(library) for library in libraries}
    common = constant("histopair.encoders", "ENTRY")
    found = []
    for key in sorted(set(entry) - {*common, *keys[entry["library"]]}):
        others = [library for library in libraries if key in keys[library]]
        found.append(f"encoders.{name}.{key}: {entry['library']} does not read it; {others} do")
    return found


def _keys(library: str) -> tuple[str, ...]:
    try:
        return constant(f"histopair.encoders.{library}", "KEYS")
    except (KeyError, FileNotFoundError):
        return ()


def _training(name: str, entry: dict, config: dict) -> list[str]:
    key, train = f"encoders.{name}", entry["train"]
    found = unknown(f"{key}.train.kind", train["kind"], configuration.known("pretrain"))
    found += unread(f"{key}.train", train, "kind", TRAINED_BY)
    found += patterns(f"{key}.train.match", train.get("match", {}))
    if not found:
        for needed in constant(f"histopair.pretrain.{train['kind']}", "REQUIRES"):
            if needed not in train:
                found.append(f"{key}.train: kind {train['kind']!r} needs {needed!r}")
    found += unknown(f"{key}.train.dataset", train["dataset"], config["datasets"])
    for corpus in train.get("corpora", []):
        found += unknown(f"{key}.train.corpora", corpus, config["corpora"])
    if train.get("corpora") and "text" not in train.get("towers", {}):
        found.append(f"{key}.train.corpora: towers.text, which reads them, is missing")
    others = [encoder for encoder in config["encoders"] if encoder != name]
    for tower, other in train.get("towers", {}).items():
        found += unknown(f"{key}.train.towers.{tower}", other, others)
    return found + unknown(f"{key}.model", entry["model"], [f"local-dir:results/encoders/{name}"])
