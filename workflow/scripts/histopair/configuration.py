"""The config: its schema and defaults filled in, and what it says of runs and pairings.

Every mistake is one line that names the key, the value and what is allowed.
"""

import copy
from functools import cache
from pathlib import Path

import jsonschema
import jsonschema.protocols
import yaml

from histopair.config_files import LOADER
from histopair.errors import InputError
from histopair.fingerprint import constant
from histopair.mistakes import not_allowed, of_schema

# What only an encoder with a text tower makes.
TEXT_TOWER = {"prompt_embeddings", "caption_embeddings", "caption_activations"}
BLOCKS_OF = {"image_activations": "image", "caption_activations": "text"}
CORRECTIONS = ("csls", "inverted-softmax", "sinkhorn")
SCHEMA = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"


def load(config: dict) -> dict:
    """The config with `like:` resolved and every default filled in.

    Raises InputError with one line per mistake.
    """
    from histopair import checks

    _fail_on(checks.values.values(config))
    config = copy.deepcopy(config)
    schema = _schema()
    _fail_on(_resolve_likes(config) + checks.data.views(config))
    _fail_on(_schema_mistakes(config, schema))
    for method in config["methods"].values():
        fill_parameters(method)
    _fail_on(checks.entries(config, schema))
    _fail_on(checks.references(config))
    return config


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
    """Names of the modules in one of the package's folders: readers, methods, pretrain ..."""
    folder = Path(__file__).parent / kind
    return sorted(path.stem for path in folder.glob("[a-z]*.py"))


def base(config: dict, dataset: str) -> str:
    """The dataset whose samples `dataset` shows: itself, or the one that it is a view of."""
    return config["datasets"][dataset].get("of", dataset)


def corpus_of(config: dict, dataset: str, method: dict) -> str | None:
    """The corpus a method pairs a dataset with: its own choice, or else the dataset's."""
    entry = config["datasets"][dataset]
    own = config["datasets"][base(config, dataset)].get("corpus")
    return method.get("corpus") or entry.get("corpus", own)


def runs(config: dict, study: str) -> list[dict]:
    """The runs of a study: dataset, encoder, method, seed, column. Methods without chance run once.

    `encoder` is what the run is made with: the method's own, or else the study's, or that one's
    `backbone` where the method reads images alone. `column` is the study's: a method with an
    encoder of its own is compared in each column.
    """
    entry, methods = config["studies"][study], config["methods"]
    return [
        {
            "dataset": dataset,
            "encoder": methods[method].get("encoder") or _adapted(config, column, methods[method]),
            "method": method,
            "seed": seed,
            "column": column,
        }
        for dataset in entry["datasets"]
        for column in entry["encoders"]
        for method in entry["methods"]
        for seed in _seeds(methods[method], entry["seeds"])
    ]


def reported(config: dict) -> list[str]:
    """The studies that the page shows; the others run by name."""
    return config.get("report") or list(config["studies"])


def pairings(config: dict) -> list[dict]:
    """The pairings that the page shows, as `pairing_of` gives them.

    Beside each that is retrieved stand the corrections in retrieval.compare.
    """
    found = []
    for study in reported(config):
        for run in runs(config, study):
            method = config["methods"][run["method"]]
            found.append(pairing_of(config, run["dataset"], method))
            if method.get("pairing") == "retrieved":
                for kind in config["retrieval"]["compare"]:
                    corrected = method | {"pairing": kind}
                    found.append(pairing_of(config, run["dataset"], corrected))
    return [pair for i, pair in enumerate(found) if pair and pair not in found[:i]]


def pairing_of(config: dict, dataset: str, method: dict) -> dict | None:
    """The pairing that a method reads: encoder (or "oracle"), dataset, corpus, correction.

    correction is "" or ".NAME", as file names have it. Whatever is corrected looks at the train
    split, and so belongs to a view; other pairs are of the dataset that it is a view of. None for
    random pairing and for methods without reports.
    """
    source = pairing_source(method) if reads_reports(method) else None
    if source is None:
        return None
    corrected = method["pairing"] in CORRECTIONS
    return {
        "encoder": source,
        "dataset": dataset if corrected else base(config, dataset),
        "corpus": corpus_of(config, dataset, method),
        "correction": f".{method['pairing']}" if corrected else "",
    }


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


def _adapted(config: dict, encoder: str, method: dict) -> str:
    """The encoder that a method reads or adapts: a CLIP's `backbone` where that reads no text."""
    both = TEXT_TOWER & set(needs(method))
    return encoder if both else config["encoders"][encoder].get("backbone", encoder)


@cache
def _schema() -> dict:
    return yaml.load(SCHEMA.read_text(encoding="utf-8"), LOADER)  # a safe one, in C


def _seeds(method: dict, seeds: list[int]) -> list[int]:
    try:
        return seeds[: constant(f"histopair.methods.{method['recipe']}", "SEEDS")]
    except KeyError:
        return seeds


def _resolve_likes(config: dict) -> list[str]:
    """A method with `like: other` takes over what `other` says and it does not."""
    methods, mistakes = config.get("methods"), []
    if not isinstance(methods, dict) or not all(isinstance(m, dict) for m in methods.values()):
        return []  # the schema words it

    def resolved(name: str, seen: tuple[str, ...]) -> dict:
        method = methods[name]
        other = method.get("like")
        if other is None:
            return method
        if not isinstance(other, str) or other not in methods or other in seen:
            others = sorted(set(methods) - {name})
            mistakes.append(not_allowed(f"methods.{name}.like", other, others))
            return method
        merged = {**resolved(other, (*seen, name)), **method}
        return {key: value for key, value in merged.items() if key != "like"}

    config["methods"] = {name: resolved(name, (name,)) for name in methods}
    return mistakes


def _schema_mistakes(config: dict, schema: dict) -> list[str]:
    errors = list(_filling(schema).iter_errors(config))
    return sorted({of_schema(error) for error in errors})


def _filling(schema: dict) -> jsonschema.protocols.Validator:
    """A validator that also writes the schema's defaults into what it validates."""
    plain = jsonschema.Draft202012Validator
    # 3.0 is no whole number: what counts with it would fail.
    types = plain.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    check = plain.VALIDATORS["properties"]

    def properties(validator, known, instance, parent):
        if isinstance(instance, dict):
            for name, sub in known.items():
                if "default" in sub:
                    instance.setdefault(name, copy.deepcopy(sub["default"]))
        yield from check(validator, known, instance, parent)

    extended = {"validators": {"properties": properties}, "type_checker": types}
    return jsonschema.validators.extend(plain, **extended)(schema)


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


def _fail_on(mistakes: list[str]) -> None:
    if mistakes:
        raise InputError("config", "; ".join(mistakes), "config/README.md explains every key")
