"""Checks of the config's methods: what their recipes take, how they pair."""

from histopair import configuration
from histopair.checks.types import fits
from histopair.configuration import CORRECTIONS
from histopair.fingerprint import constant
from histopair.mistakes import unknown

PAIRINGS = ("retrieved", *CORRECTIONS, "random", "oracle")
VIEWS = constant("histopair.activations.cache", "VIEWS")  # whose module needs torch
ENCODER_KEYS = ("encoder", "text_encoder")


def methods(config: dict, settings: set[str]) -> list[str]:
    """Mistakes of each method; `settings` are the keys that every recipe takes."""
    found = []
    for name, method in config["methods"].items():
        key = f"methods.{name}"
        wrong = unknown(f"{key}.recipe", method["recipe"], configuration.known("methods"))
        found += wrong or _method(key, method, settings, config)
    return found


def _method(key: str, method: dict, settings: set[str], config: dict) -> list[str]:
    defaults = configuration.parameters(method)
    allowed = settings | set(defaults)
    found = [
        f"{key}: unknown key {parameter!r}; allowed are {sorted(allowed)}"
        for parameter in sorted(set(method) - allowed)
    ]
    for parameter, default in defaults.items():
        found += fits(f"{key}.{parameter}", method[parameter], default)
    for role in ENCODER_KEYS:
        if method.get(role):
            found += unknown(f"{key}.{role}", method[role], config["encoders"])
    for parameter, values in configuration.choices(method).items():
        found += unknown(f"{key}.{parameter}", method[parameter], list(values))
    if method.get("teacher") == "joint" and method.get("teacher_of") == "image":
        found.append(
            f"{key}.teacher: 'joint' trains the text tower, which no image teaches; "
            "set teacher_of to text or label-prompt"
        )
    if not 1 <= method.get("views", 1) <= VIEWS:
        found.append(f"{key}.views: {method['views']} is not allowed; 1 to {VIEWS} are")
    return found + (_pairing(key, method, config) if "pairing" in method else [])


def _pairing(key: str, method: dict, config: dict) -> list[str]:
    found = unknown(f"{key}.pairing", method["pairing"], PAIRINGS)
    found += unknown(f"{key}.retriever", method["retriever"], config["encoders"])
    if method.get("corpus"):
        found += unknown(f"{key}.corpus", method["corpus"], config["corpora"])
    rank, k = method["rank"], config["retrieval"]["k"]
    ranked = method["pairing"] not in ("random", "oracle") and isinstance(rank, int)
    if ranked and not 1 <= rank <= k:
        found.append(f"{key}.rank: {rank} is not allowed; at most retrieval.k = {k} is")
    return found
