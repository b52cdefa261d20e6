"""Checks of the config's encoders and of how they are trained."""

from histopair.plan import entries, recipes
from histopair.plan.checks.datasets import patterns
from histopair.plan.fingerprint import constant
from histopair.plan.mistakes import unknown, unread

# Keys that these kinds of training alone read.
TRAINED_BY = {"architecture": ("classifier",), "vocabulary": ("masked_language",)}
TRAINED_BY |= {key: ("locked_clip",) for key in ("corpora", "match", "towers")}


def encoders(config: dict) -> list[str]:
    """Mistakes of the name kept for the oracle, of libraries and of trainings."""
    found = []
    if "oracle" in config["encoders"]:
        found.append("encoders.oracle: this name is kept for pairs made from the truth")
    for name, entry in config["encoders"].items():
        libraries = recipes.known("encoders.libraries")
        found += unknown(f"encoders.{name}.library", entry["library"], libraries)
        found += unread(f"encoders.{name}", entry, "library", _readers(libraries))
        if entry.get("backbone"):
            found += unknown(f"encoders.{name}.backbone", entry["backbone"], config["encoders"])
        if entry.get("train"):
            found += _training(name, entry, config)
    return found


def _readers(libraries: list[str]) -> dict[str, tuple[str, ...]]:
    """For each key that not all libraries read, those that do."""
    found: dict[str, tuple[str, ...]] = {}
    for library in libraries:
        for key in constant(f"histopair.encoders.libraries.{library}", "KEYS"):
            found[key] = (*found.get(key, ()), library)
    return found


def _training(name: str, entry: dict, config: dict) -> list[str]:
    key, train = f"encoders.{name}", entry["train"]
    found = unknown(f"{key}.train.kind", train["kind"], recipes.known("training.pretrain"))
    found += unread(f"{key}.train", train, "kind", TRAINED_BY)
    found += patterns(f"{key}.train.match", train.get("match", {}))
    if not found:
        for needed in constant(f"histopair.training.pretrain.{train['kind']}", "REQUIRES"):
            if needed not in train:
                found.append(f"{key}.train: kind {train['kind']!r} needs {needed!r}")
    wrong = unknown(f"{key}.train.dataset", train["dataset"], config["datasets"])
    if not wrong and (
        entries.bags(config, train["dataset"])
        or entries.folds(config["datasets"][train["dataset"]])
    ):
        wrong = [f"{key}.train.dataset: an encoder learns from images with one train split"]
    found += wrong
    for corpus in train.get("corpora", []):
        found += unknown(f"{key}.train.corpora", corpus, config["corpora"])
    if train.get("corpora") and "text" not in train.get("towers", {}):
        found.append(f"{key}.train.corpora: towers.text, which reads them, is missing")
    others = [encoder for encoder in config["encoders"] if encoder != name]
    for tower, other in train.get("towers", {}).items():
        found += unknown(f"{key}.train.towers.{tower}", other, others)
    return found + unknown(f"{key}.model", entry["model"], [f"local-dir:results/encoders/{name}"])
