"""What a recipe says about itself, read from its source: importing one would need torch."""

import copy
from functools import cache
from pathlib import Path

from histopair.errors import InputError
from histopair.plan.fingerprint import constant, defines, function, module_path
from histopair.plan.mistakes import not_allowed

# All that a recipe may need beside the labels; methods/__init__.py says what each is.
ARTIFACTS = ("images", "captions", "bags", "image_embeddings", "caption_embeddings")
ARTIFACTS += ("prompt_embeddings", "image_activations", "caption_activations")
ARTIFACTS += ("pairs", "reports", "text_embeddings", "retriever")
ARTIFACTS += ("teacher_images", "teacher_prompts", "teacher_logits")
ARTIFACTS += ("distilled_weights", "distilled_history", "distilled_vectors")
ADAPTED = "adapted_images"  # a need that stands for one of three artifacts
CORRECTIONS = ("csls", "inverted-softmax", "sinkhorn")
BEYOND_RETRIEVAL = ("random", "label", "oracle")  # pairings that no retriever makes
PACKAGE = Path(__file__).parents[1]


def parameters(method: dict) -> dict:
    """The defaults of a recipe's own parameters, beside the loop's settings."""
    return constant(module(method), "PARAMETERS")


def module(method: dict) -> str:
    """The module of a method's recipe: a file in methods/, or a folder."""
    return f"histopair.methods.{method['recipe']}"


def needs(method: dict) -> tuple[str, ...]:
    """The artifacts that a method reads beside the labels.

    Raises InputError for a recipe that names one that nobody makes.
    """
    names = _asked(method, "needs")
    if names is None:
        names = constant(module(method), "NEEDS")
    for name in names:
        if name not in (*ARTIFACTS, ADAPTED):
            raise _wrong(method, not_allowed("needs", name, [*ARTIFACTS, ADAPTED]))
    return tuple(_adapted(method) if name == ADAPTED else name for name in names)


def _adapted(method: dict) -> str:
    """What `lora` trains from, as training/adapted_images.py reads it."""
    trained = blocks(method, "image")
    if trained == "all" or method.get("normalisation", "own") != "own":
        return "images"
    return "image_activations" if trained else "image_embeddings"


def mistakes(method: dict) -> dict[str, str]:
    """What a recipe says about parameters that do not fit together, by parameter."""
    return _asked(method, "mistakes") or {}


def distilled(method: dict) -> bool:
    """Whether texts teach a method's image side, so that analyses look at what it learned."""
    return bool(_asked(method, "distilled"))


def at_optimum(method: dict) -> bool:
    """Whether a method's heads are at their optimum, so that others are compared with it."""
    return _of_recipe(method, "AT_OPTIMUM", False)


def reads(method: dict) -> set[str]:
    """Which of "image" and "caption" a method's model reads; what teaches it does not count."""
    kinds = {"images": "image", "image": "image", "captions": "caption", "caption": "caption"}
    return {kinds.get(name.split("_")[0]) for name in needs(method)} - {None}


def predicts(method: dict) -> bool:
    """Whether a recipe says how its finished runs predict: others cannot be exported."""
    return defines(module(method), "predictor")


def _asked(method: dict, name: str) -> object:
    """What a recipe's function says about a method; None if the recipe has no such function."""
    answer = function(module(method), name)
    try:
        return answer and answer(method)
    except (KeyError, NameError, TypeError) as error:
        problem = f"its function {name!r} does not run alone ({type(error).__name__}: {error})"
        raise _wrong(method, problem) from error


def _wrong(method: dict, problem: str) -> InputError:
    remedy = "The text at the top of methods/__init__.py explains what a recipe says about itself"
    return InputError(module_path(module(method)), problem, remedy)


def blocks(method: dict, tower: str) -> int | str:
    """How many of the last blocks of its "image" or "text" tower a method trains, or "all".

    A method that cannot train any reads the tokens after all blocks.
    """
    if "unfreeze" in method:
        unfreeze = method["unfreeze"]
        return unfreeze[tower] if isinstance(unfreeze, dict) else unfreeze
    adapters = method.get("lora" if tower == "image" else "text_lora")
    return adapters["blocks"] if adapters else 0


def seeds(method: dict, seeds: list[int]) -> list[int]:
    """The seeds of a study that a method runs with: only one, if it has no chance."""
    return seeds[: _of_recipe(method, "SEEDS", None)]


def choices(method: dict) -> dict[str, tuple]:
    """The allowed values of each of a recipe's parameters that has only a few."""
    return _of_recipe(method, "CHOICES", {})


def least(method: dict) -> dict[str, int]:
    """The least value of each of a recipe's whole numbers that does not start at 1."""
    return _of_recipe(method, "LEAST", {})


def words(method: dict) -> dict[str, tuple]:
    """The words that each of a recipe's numbers may be instead."""
    return _of_recipe(method, "WORDS", {})


def _of_recipe(method: dict, name: str, default):
    try:
        return constant(module(method), name)
    except (KeyError, FileNotFoundError):
        return default


@cache
def known(kind: str) -> list[str]:
    """Names of the modules in one of the package's folders: "methods", "encoders.libraries" ..."""
    folder = PACKAGE.joinpath(*kind.split("."))
    files = [*folder.glob("[a-z]*.py"), *folder.glob("[a-z]*/__init__.py")]
    return sorted(file.stem if file.parent == folder else file.parent.name for file in files)


def fill_parameters(method: dict) -> None:
    """Write into a method the defaults of the recipe's parameters that it does not set."""
    if method["recipe"] not in known("methods"):
        return  # checks.entries reports it
    for key, value in parameters(method).items():
        if key == "unfreeze" and isinstance(value, dict) and type(method.get(key)) in (int, str):
            method[key] = dict.fromkeys(value, method[key])  # the same for both towers
        if isinstance(value, dict) and isinstance(method.get(key), dict):
            method[key] = {**value, **method[key]}
        method.setdefault(key, copy.deepcopy(value))


def pairing_source(method: dict) -> str | None:
    """Who pairs for a method: its retriever, "oracle", or nobody (by chance, or no text at all)."""
    kind = method.get("pairing")
    retrieved = dict.fromkeys(("retrieved", *CORRECTIONS), method.get("retriever"))
    return {**retrieved, "oracle": "oracle"}.get(kind)


def distils_first(method: dict) -> bool:
    """Whether a method learns from all images in a job of its own before it reads labels."""
    return "distilled_weights" in needs(method)


def of_one_seed(method: dict) -> bool:
    """Whether a method learns from files that another job has trained with the run's seed."""
    return any(name.startswith(("teacher_logits", "distilled_")) for name in needs(method))


def distillation(method: dict) -> dict:
    """The parameters that decide what a method that distils first learns from all images."""
    later = _of_recipe(method, "AFTER_DISTILLATION", ())
    return {key: value for key, value in method.items() if key not in later}


def reads_reports(method: dict) -> bool:
    """Whether a method pairs images with reports."""
    return "reports" in needs(method)
