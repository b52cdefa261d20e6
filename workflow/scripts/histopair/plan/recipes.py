"""What a recipe says of itself, read from its source: importing one would need torch."""

import copy
from functools import cache
from pathlib import Path

from histopair.plan.fingerprint import constant

BLOCKS_OF = {"image_activations": "image", "caption_activations": "text"}
CORRECTIONS = ("csls", "inverted-softmax", "sinkhorn")
PACKAGE = Path(__file__).parents[1]


def parameters(method: dict) -> dict:
    """The defaults of what a method's recipe takes beyond the loop's settings."""
    return constant(f"histopair.methods.{method['recipe']}", "PARAMETERS")


def needs(method: dict) -> tuple[str, ...]:
    """The artifacts that a method reads beside the labels; of a frozen tower its embeddings."""
    found = constant(f"histopair.methods.{method['recipe']}", "NEEDS")
    frozen = [need for need in found if need in BLOCKS_OF and not blocks(method, BLOCKS_OF[need])]
    return tuple(
        need.replace("activations", "embeddings") if need in frozen else need for need in found
    )


def blocks(method: dict, tower: str) -> int:
    """How many of the last blocks of its "image" or "text" tower a method trains."""
    unfreeze = method["unfreeze"]
    return unfreeze[tower] if isinstance(unfreeze, dict) else unfreeze


def seeds(method: dict, seeds: list[int]) -> list[int]:
    """Those of a study's seeds that a method runs with: methods without chance run once."""
    try:
        return seeds[: constant(f"histopair.methods.{method['recipe']}", "SEEDS")]
    except KeyError:
        return seeds


def choices(method: dict) -> dict[str, tuple]:
    """The values that each of a recipe's parameters may have, for those that have few."""
    return _of_recipe(method, "CHOICES")


def least(method: dict) -> dict[str, int]:
    """The least of each of a recipe's whole numbers, for those that do not start at 1."""
    return _of_recipe(method, "LEAST")


def _of_recipe(method: dict, name: str) -> dict:
    try:
        return constant(f"histopair.methods.{method['recipe']}", name)
    except (KeyError, FileNotFoundError):
        return {}


@cache
def known(kind: str) -> list[str]:
    """Names of the modules in one of the package's folders: "methods", "encoders.libraries" ..."""
    folder = PACKAGE.joinpath(*kind.split("."))
    return sorted(path.stem for path in folder.glob("[a-z]*.py"))


def fill_parameters(method: dict) -> None:
    """Write into a method the defaults of its recipe's parameters, where it says nothing."""
    if method["recipe"] not in known("methods"):
        return  # checks.entries words it
    defaults = parameters(method)
    for key, value in defaults.items():
        if key == "unfreeze" and isinstance(value, dict) and type(method.get(key)) is int:
            method[key] = dict.fromkeys(value, method[key])  # one number for both towers
        if isinstance(value, dict) and isinstance(method.get(key), dict):
            method[key] = {**value, **method[key]}
        method.setdefault(key, copy.deepcopy(value))


def pairing_source(method: dict) -> str | None:
    """Who pairs for a method: its retriever, "oracle", or nobody (random, or no text at all)."""
    kind = method.get("pairing")
    retrieved = dict.fromkeys(("retrieved", *CORRECTIONS), method.get("retriever"))
    return {**retrieved, "oracle": "oracle"}.get(kind)


def reads_reports(method: dict) -> bool:
    """Whether a method pairs images with reports, and is not taught by something else."""
    return "pairing" in method and method.get("teacher_of", "text") == "text"


def reads_text_embeddings(method: dict) -> bool:
    """Whether a method takes its texts as the frozen tower's cached embeddings.

    Not where adapters train in the tower, nor where words are dropped first.
    """
    if not reads_reports(method) or "text_lora" not in method or method.get("teacher") == "none":
        return False
    frozen = method["text_lora"] is None or method.get("text_stage") == "head"
    return frozen and not method["word_dropout"]
