"""Checks of the config's encoders and of how they are trained."""

from histopair.plan import entries, recipes
from histopair.plan.checks.datasets import patterns
from histopair.plan.fingerprint import constant
from histopair.plan.mistakes import unknown, unread

# Keys that only these kinds of training read.
TRAINED_BY = {"architecture": ("classifier",), "vocabulary": ("masked_language",)}
TRAINED_BY |= {key: ("locked_clip",) for key in ("corpora", "match")}
TRAINED_BY |= {"towers": ("classifier", "locked_clip")}


def encoders(config: dict) -> list[str]:
    """Mistakes in libraries and trainings, and the name that is kept for the oracle."""
    mistakes = []
    if "oracle" in config["encoders"]:
        mistakes.append("encoders.oracle: this name is kept for pairs made from the truth")
    libraries = recipes.known("encoders.libraries")
    for name, entry in config["encoders"].items():
        mistakes += unknown(f"encoders.{name}.library", entry["library"], libraries)
        mistakes += unread(f"encoders.{name}", entry, "library", _readers(libraries))
        if entry.get("backbone"):
            mistakes += unknown(f"encoders.{name}.backbone", entry["backbone"], config["encoders"])
        if entry.get("train"):
            mistakes += _training(name, entry, config)
    return mistakes


def _readers(libraries: list[str]) -> dict[str, tuple[str, ...]]:
    """By key, the libraries that read it, unless all do."""
    readers: dict[str, tuple[str, ...]] = {}
    for library in libraries:
        for key in constant(f"histopair.encoders.libraries.{library}", "KEYS"):
            readers[key] = (*readers.get(key, ()), library)
    return readers


def _training(name: str, entry: dict, config: dict) -> list[str]:
    key, train = f"encoders.{name}", entry["train"]
    mistakes = unknown(f"{key}.train.kind", train["kind"], recipes.known("training.pretrain"))
    mistakes += unread(f"{key}.train", train, "kind", TRAINED_BY)
    mistakes += patterns(f"{key}.train.match", train.get("match", {}))
    if not mistakes:
        for needed in constant(f"histopair.training.pretrain.{train['kind']}", "REQUIRES"):
            if needed not in train:
                mistakes.append(f"{key}.train: kind {train['kind']!r} needs {needed!r}")
    mistakes += _training_dataset(f"{key}.train.dataset", train["dataset"], config)
    for corpus in train.get("corpora", []):
        mistakes += unknown(f"{key}.train.corpora", corpus, config["corpora"])
    if train.get("corpora") and "text" not in train.get("towers", {}):
        mistakes.append(f"{key}.train.corpora: towers.text, which reads them, is missing")
    others = [encoder for encoder in config["encoders"] if encoder != name]
    for tower, other in train.get("towers", {}).items():
        mistakes += unknown(f"{key}.train.towers.{tower}", other, others)
    mistakes += _towers(f"{key}.train.towers", train, config)
    path = f"local-dir:results/encoders/{name}"
    return mistakes + unknown(f"{key}.model", entry["model"], [path])


def _towers(key: str, train: dict, config: dict) -> list[str]:
    """A tower that a classifier does not have, and keys that a locked CLIP's files cannot hold."""
    if train["kind"] != "locked_clip":
        return [f"{key}.text: a classifier has no text tower"] * ("text" in train.get("towers", {}))
    entry = config["encoders"].get(train.get("towers", {}).get("image"), {})
    keys = {"pooling": entry.get("pooling"), "pixels.resize": entry.get("pixels", {}).get("resize")}
    return [f"{key}.image: a locked CLIP cannot keep its {name!r}" for name in keys if keys[name]]


def _training_dataset(key: str, name: str, config: dict) -> list[str]:
    mistakes = unknown(key, name, config["datasets"])
    if mistakes:
        return mistakes
    if entries.bags(config, name) or not entries.trainable(config, name):
        return [f"{key}: an encoder learns from images with one train split"]
    return []
