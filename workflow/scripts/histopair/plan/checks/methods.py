"""Checks of the config's methods: what their recipes take and how they pair."""

from histopair.errors import nearest
from histopair.plan import recipes, schema
from histopair.plan.checks.types import fits
from histopair.plan.fingerprint import constant
from histopair.plan.mistakes import unknown
from histopair.plan.recipes import BEYOND_RETRIEVAL, CORRECTIONS

PAIRINGS = ("retrieved", *CORRECTIONS, *BEYOND_RETRIEVAL)
# Its module needs torch.
AUGMENTATIONS = constant("histopair.encoders.activations.cache", "AUGMENTATIONS")
ENCODER_KEYS = ("encoder", "text_encoder", "teacher_encoder")


def methods(config: dict) -> list[str]:
    """Mistakes in all methods."""
    mistakes = []
    for name, method in config["methods"].items():
        key = f"methods.{name}"
        lines = unknown(f"{key}.recipe", method["recipe"], recipes.known("methods"))
        mistakes += lines or method_of(key, method, config)
    return mistakes


def method_of(key: str, method: dict, config: dict) -> list[str]:
    """Mistakes in one method whose recipe exists."""
    defaults = recipes.parameters(method)
    allowed = set(schema.of_a_method()["properties"]) | set(defaults)
    mistakes = [
        f"{key}: unknown key {parameter!r}; allowed are {sorted(allowed)}"
        + nearest(parameter, allowed)
        for parameter in sorted(set(method) - allowed)
    ]
    least, words = recipes.least(method), recipes.words(method)
    for parameter, default in defaults.items():
        first, instead = least.get(parameter, 1), words.get(parameter, ())
        mistakes += fits(f"{key}.{parameter}", method[parameter], default, first, instead)
    for role in ENCODER_KEYS:
        if method.get(role):
            mistakes += unknown(f"{key}.{role}", method[role], config["encoders"])
    for parameter, values in recipes.choices(method).items():
        mistakes += unknown(f"{key}.{parameter}", method[parameter], list(values))
    if mistakes:
        return mistakes
    return [
        *(f"{key}.{parameter}: {line}" for parameter, line in recipes.mistakes(method).items()),
        *_augmentations(f"{key}.augmentations", method),
        *_pairing(key, method, config),
        *_teacher(key, method, config),
    ]


def _augmentations(key: str, method: dict) -> list[str]:
    number = method.get("augmentations", 1)
    if not 1 <= number <= AUGMENTATIONS:
        return [f"{key}: {number} is not allowed; 1 to {AUGMENTATIONS} are"]
    if number > 1 and not recipes.blocks(method, "image"):
        return [f"{key}: {number} is not allowed if no block of the image tower trains; 1 is"]
    return []


def _pairing(key: str, method: dict, config: dict) -> list[str]:
    if "pairing" not in method:
        return []
    mistakes = unknown(f"{key}.pairing", method["pairing"], PAIRINGS)
    mistakes += unknown(f"{key}.retriever", method["retriever"], config["encoders"])
    if method.get("corpus"):
        mistakes += unknown(f"{key}.corpus", method["corpus"], config["corpora"])
    if method.get("wrong_pairs", 0) > 1:
        mistakes.append(f"{key}.wrong_pairs: it is a share, 1 at most")
    rank, k = method["rank"], config["retrieval"]["k"]
    ranked = method["pairing"] not in BEYOND_RETRIEVAL and isinstance(rank, int)
    if ranked and not 1 <= rank <= k:
        mistakes.append(f"{key}.rank: {rank} is not allowed; at most retrieval.k = {k} is")
    return mistakes


def _teacher(key: str, method: dict, config: dict) -> list[str]:
    """A teacher is a method whose runs predict any sample, and is no student itself."""
    name = method.get("teacher_method")
    if not name:
        return []
    teacher = config["methods"].get(name, {})
    recipe = teacher.get("recipe")
    fitting = recipe in recipes.known("methods") and recipes.predicts(teacher)
    if not fitting or "teacher_method" in recipes.parameters(teacher):
        return [
            f"{key}.teacher_method: {name!r} is not allowed; a method is whose recipe can be "
            "exported and is not student"
        ]
    if method.get("encoder") and not (method["teacher_encoder"] or teacher.get("encoder")):
        return [f"{key}.teacher_encoder: name the encoder of the teacher's runs, or its method's"]
    return []
