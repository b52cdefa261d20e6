"""Checks of the config's methods: what their recipes take, how they pair."""

from histopair.errors import nearest
from histopair.plan import recipes, schema
from histopair.plan.checks.types import fits
from histopair.plan.fingerprint import constant
from histopair.plan.mistakes import unknown
from histopair.plan.recipes import CORRECTIONS

PAIRINGS = ("retrieved", *CORRECTIONS, "random", "oracle")
AUGMENTATIONS = constant("histopair.activations.cache", "AUGMENTATIONS")  # whose module needs torch
ENCODER_KEYS = ("encoder", "text_encoder")


def methods(config: dict) -> list[str]:
    """Mistakes of each method."""
    found = []
    for name, method in config["methods"].items():
        key = f"methods.{name}"
        wrong = unknown(f"{key}.recipe", method["recipe"], recipes.known("methods"))
        found += wrong or method_of(key, method, config)
    return found


def method_of(key: str, method: dict, config: dict) -> list[str]:
    """Mistakes of one method of a recipe that is known."""
    defaults = recipes.parameters(method)
    allowed = set(schema.of_a_method()["properties"]) | set(defaults)
    found = [
        f"{key}: unknown key {parameter!r}; allowed are {sorted(allowed)}"
        + nearest(parameter, allowed)
        for parameter in sorted(set(method) - allowed)
    ]
    first = recipes.least(method)
    for parameter, default in defaults.items():
        found += fits(f"{key}.{parameter}", method[parameter], default, first.get(parameter, 1))
    for role in ENCODER_KEYS:
        if method.get(role):
            found += unknown(f"{key}.{role}", method[role], config["encoders"])
    for parameter, values in recipes.choices(method).items():
        found += unknown(f"{key}.{parameter}", method[parameter], list(values))
    if found:
        return found
    found = [f"{key}.{parameter}: {said}" for parameter, said in recipes.mistakes(method).items()]
    return found + _augmentations(f"{key}.augmentations", method) + _pairing(key, method, config)


def _augmentations(key: str, method: dict) -> list[str]:
    turns = method.get("augmentations", 1)
    if not 1 <= turns <= AUGMENTATIONS:
        return [f"{key}: {turns} is not allowed; 1 to {AUGMENTATIONS} are"]
    if turns > 1 and not recipes.blocks(method, "image"):
        return [f"{key}: {turns} is not allowed where no block of the image tower trains; 1 is"]
    return []


def _pairing(key: str, method: dict, config: dict) -> list[str]:
    if "pairing" not in method:
        return []
    found = unknown(f"{key}.pairing", method["pairing"], PAIRINGS)
    found += unknown(f"{key}.retriever", method["retriever"], config["encoders"])
    if method.get("corpus"):
        found += unknown(f"{key}.corpus", method["corpus"], config["corpora"])
    rank, k = method["rank"], config["retrieval"]["k"]
    ranked = method["pairing"] not in ("random", "oracle") and isinstance(rank, int)
    if ranked and not 1 <= rank <= k:
        found.append(f"{key}.rank: {rank} is not allowed; at most retrieval.k = {k} is")
    return found
