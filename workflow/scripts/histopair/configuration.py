"""The config, checked before anything runs: schema, defaults, cross references.

Every mistake is one line that names the key, the value and what is allowed.
"""

import copy
from pathlib import Path

import jsonschema
import jsonschema.protocols
import yaml

from histopair.errors import InputError
from histopair.fingerprint import constant

SCHEMA = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"
VIEW_KEYS = ("of", "split", "class_names", "corpus", "description", "licence", "synthetic")
LORA_TARGETS = ["all", "no-linear"]
PAIRINGS = ("retrieved", "random", "oracle")


def load(config: dict) -> dict:
    """The config with `like:` resolved and every default filled in.

    Raises InputError with one line per mistake.
    """
    config = copy.deepcopy(config)
    mistakes: list[str] = []
    _resolve_likes(config, mistakes)
    _check_views(config, mistakes)
    _fail_on(mistakes)
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    mistakes += _schema_mistakes(config, schema)
    _fail_on(mistakes)
    for method in config["methods"].values():
        _fill_parameters(method)
    for check in CHECKS:
        check(config, mistakes)
    _fail_on(mistakes)
    return config


def parameters(method: dict) -> dict:
    """The defaults of what a method's recipe takes beyond the loop's settings."""
    return constant(f"histopair.methods.{method['recipe']}", "PARAMETERS")


def needs(recipe: str) -> tuple[str, ...]:
    """The artifacts that a recipe reads beside the labels."""
    return constant(f"histopair.methods.{recipe}", "NEEDS")


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
    """The runs of a study: dataset, encoder, method, seed. Methods without chance run once."""
    entry = config["studies"][study]
    return [
        {"dataset": dataset, "encoder": encoder, "method": method, "seed": seed}
        for dataset in entry["datasets"]
        for encoder in entry["encoders"]
        for method in entry["methods"]
        for seed in _seeds(config["methods"][method], entry["seeds"])
    ]


def pairings(config: dict) -> list[dict]:
    """The pairings that the studies use: encoder (or "oracle"), dataset, corpus."""
    found = {}
    for study in config["studies"]:
        for run in runs(config, study):
            method = config["methods"][run["method"]]
            source = pairing_source(method)
            if source:
                dataset = base(config, run["dataset"])
                corpus = corpus_of(config, run["dataset"], method)
                found[source, dataset, corpus] = None
    return [dict(zip(("encoder", "dataset", "corpus"), key, strict=True)) for key in found]


def pairing_source(method: dict) -> str | None:
    """Who pairs for a method: its retriever, "oracle", or nobody (random, or no text at all)."""
    kind = method.get("pairing")
    return {"retrieved": method.get("retriever"), "oracle": "oracle"}.get(kind)


def _seeds(method: dict, seeds: list[int]) -> list[int]:
    try:
        return seeds[: constant(f"histopair.methods.{method['recipe']}", "SEEDS")]
    except KeyError:
        return seeds


def _resolve_likes(config: dict, mistakes: list[str]) -> None:
    """A method with `like: other` takes over what `other` says and it does not."""
    methods = config.get("methods") or {}

    def resolved(name: str, seen: tuple[str, ...]) -> dict:
        method = methods[name]
        other = method.get("like") if isinstance(method, dict) else None
        if other is None:
            return method
        if other not in methods or other in seen:
            mistakes.append(_mistake(f"methods.{name}.like", other, sorted(set(methods) - {name})))
            return method
        merged = {**resolved(other, (*seen, name)), **method}
        return {key: value for key, value in merged.items() if key != "like"}

    config["methods"] = {name: resolved(name, (name,)) for name in methods}


def _check_views(config: dict, mistakes: list[str]) -> None:
    """A view divides another dataset's samples anew; how these were cleaned is not its own."""
    for name, entry in (config.get("datasets") or {}).items():
        if isinstance(entry, dict) and "of" in entry:
            for key in sorted(set(entry) - set(VIEW_KEYS)):
                mistakes.append(
                    f"datasets.{name}: a view cannot have {key!r}; allowed are {sorted(VIEW_KEYS)}"
                )


def _schema_mistakes(config: dict, schema: dict) -> list[str]:
    errors = list(_filling(schema).iter_errors(config))
    return sorted({_explain(error) for error in errors})


def _filling(schema: dict) -> jsonschema.protocols.Validator:
    """A validator that also writes the schema's defaults into what it validates."""
    plain = jsonschema.Draft202012Validator
    check = plain.VALIDATORS["properties"]

    def properties(validator, known, instance, parent):
        if isinstance(instance, dict):
            for name, sub in known.items():
                if "default" in sub:
                    instance.setdefault(name, copy.deepcopy(sub["default"]))
        yield from check(validator, known, instance, parent)

    return jsonschema.validators.extend(plain, {"properties": properties})(schema)


def _explain(error: jsonschema.ValidationError) -> str:
    key = ".".join(map(str, error.absolute_path)) or "the config"
    if error.validator == "additionalProperties":
        allowed = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(allowed))
        return f"{key}: unknown key {', '.join(map(repr, unknown))}; allowed are {allowed}"
    if error.validator == "required":
        return f"{key}: {error.message}"
    if error.validator == "enum":
        return _mistake(key, error.instance, error.validator_value)
    if error.validator in ("anyOf", "oneOf"):
        return f"{key}: {error.instance!r} fits none of what its description allows: " + (
            error.schema.get("description", "see config/README.md")
        )
    hint = error.schema.get("description", "")
    return f"{key}: {error.message}" + (f" ({hint})" if hint else "")


def _fill_parameters(method: dict) -> None:
    try:
        defaults = parameters(method)
    except (KeyError, FileNotFoundError):
        return  # _check_methods words it
    for key, value in defaults.items():
        if isinstance(value, dict) and isinstance(method.get(key), dict):
            method[key] = {**value, **method[key]}
        method.setdefault(key, copy.deepcopy(value))


def _check_names(config: dict, mistakes: list[str]) -> None:
    if "oracle" in config["encoders"]:
        mistakes.append("encoders.oracle: this name is kept for pairs made from the truth")


def _check_datasets(config: dict, mistakes: list[str]) -> None:
    whole = [name for name, entry in config["datasets"].items() if "of" not in entry]
    for name, entry in config["datasets"].items():
        key = f"datasets.{name}"
        if "of" in entry:
            _require(f"{key}.of", entry["of"], whole, mistakes)
        else:
            _require(f"{key}.reader", entry.get("reader"), _readers("images"), mistakes)
            if "root" not in entry:
                mistakes.append(f"{key}: 'root' is a required property")
        if "corpus" in entry:
            _require(f"{key}.corpus", entry["corpus"], list(config["corpora"]), mistakes)
        if entry["split"]["test"] + entry["split"]["val"] >= 1:
            mistakes.append(f"{key}.split: test and val leave nothing to train on")


def _check_corpora(config: dict, mistakes: list[str]) -> None:
    for name, entry in config["corpora"].items():
        _require(f"corpora.{name}.reader", entry["reader"], _readers("reports"), mistakes)
        if ("table" in entry) == ("tables" in entry):
            mistakes.append(f"corpora.{name}: give either 'table' or 'tables'")


def _readers(what: str) -> list[str]:
    """Readers of "images" or of "reports"; the latter say so in a constant READS."""

    def reads(name: str) -> str:
        try:
            return constant(f"histopair.readers.{name}", "READS")
        except (KeyError, FileNotFoundError):
            return "images"

    return [name for name in known("readers") if reads(name) == what]


def _check_encoders(config: dict, mistakes: list[str]) -> None:
    for name, entry in config["encoders"].items():
        key = f"encoders.{name}"
        _require(f"{key}.library", entry["library"], known("encoders"), mistakes)
        train = entry.get("train")
        if not train:
            continue
        if _require(f"{key}.train.kind", train["kind"], known("pretrain"), mistakes):
            for needed in constant(f"histopair.pretrain.{train['kind']}", "REQUIRES"):
                if needed not in train:
                    mistakes.append(f"{key}.train: kind {train['kind']!r} needs {needed!r}")
        _require(f"{key}.train.dataset", train["dataset"], list(config["datasets"]), mistakes)
        for corpus in train.get("corpora", []):
            _require(f"{key}.train.corpora", corpus, list(config["corpora"]), mistakes)
        for tower, other in train.get("towers", {}).items():
            others = [encoder for encoder in config["encoders"] if encoder != name]
            _require(f"{key}.train.towers.{tower}", other, others, mistakes)
        expected = f"local-dir:results/encoders/{name}"
        if entry["model"] != expected:
            mistakes.append(_mistake(f"{key}.model", entry["model"], [expected]))


def _check_methods(config: dict, mistakes: list[str]) -> None:
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    settings = set(schema["properties"]["methods"]["additionalProperties"]["properties"])
    for name, method in config["methods"].items():
        key = f"methods.{name}"
        if not _require(f"{key}.recipe", method["recipe"], known("methods"), mistakes):
            continue
        defaults = parameters(method)
        for parameter in sorted(set(method) - settings - set(defaults)):
            allowed = sorted(settings | set(defaults))
            mistakes.append(f"{key}: unknown key {parameter!r}; allowed are {allowed}")
        for parameter, default in defaults.items():
            _check_type(f"{key}.{parameter}", method[parameter], default, mistakes)
        if "pairing" in method:
            _require(f"{key}.pairing", method["pairing"], list(PAIRINGS), mistakes)
            _require(f"{key}.retriever", method["retriever"], list(config["encoders"]), mistakes)
            if method.get("corpus"):
                _require(f"{key}.corpus", method["corpus"], list(config["corpora"]), mistakes)
            if method["pairing"] == "retrieved":
                _check_rank(f"{key}.rank", method["rank"], config["retrieval"]["k"], mistakes)


def _check_rank(key: str, rank: object, k: int, mistakes: list[str]) -> None:
    if isinstance(rank, int) and not 1 <= rank <= k:
        mistakes.append(f"{key}: {rank} is not allowed; at most retrieval.k = {k} is")


def _check_studies(config: dict, mistakes: list[str]) -> None:
    for name, study in config["studies"].items():
        key = f"studies.{name}"
        good = True
        for part in ("datasets", "encoders", "methods"):
            for value in study[part]:
                good &= _require(f"{key}.{part}", value, list(config[part]), mistakes)
        metrics = [
            *constant("histopair.metrics", "SINGLE"),
            *constant("histopair.metrics", "MULTI"),
        ]
        _require(f"{key}.metric", study["metric"], metrics, mistakes)
        if study.get("reference"):
            _require(f"{key}.reference", study["reference"], study["methods"], mistakes)
        for method in study.get("order", []):
            _require(f"{key}.order", method, study["methods"], mistakes)
        for dataset in study["datasets"] if good else ():
            for method in study["methods"]:
                _check_run(config, key, dataset, method, mistakes)


def _check_run(config: dict, key: str, dataset: str, method: str, mistakes: list[str]) -> None:
    entry = config["methods"][method]
    if entry["recipe"] not in known("methods") or "pairing" not in entry:
        return
    corpus = corpus_of(config, dataset, entry)
    if corpus is None:
        mistakes.append(
            f"{key}: method {method!r} needs reports, and dataset {dataset!r} names no `corpus`; "
            f"allowed are {sorted(config['corpora'])}"
        )
    elif entry["pairing"] == "oracle":
        truth = config["datasets"][base(config, dataset)].get("truth")
        if not truth or not config["corpora"][corpus].get("truth"):
            mistakes.append(
                f"{key}: method {method!r} pairs by truth, and {dataset!r} or {corpus!r} has none; "
                "it is for the phantom only"
            )


def _check_type(key: str, value: object, default: object, mistakes: list[str]) -> None:
    """A parameter has the type of its default; floats may be written as whole numbers.

    Whole numbers count something, and start at 1. A dict may be null: that part is left out.
    """
    if isinstance(default, dict) and value is None:
        return
    kinds = (int, float) if isinstance(default, float) else type(default)
    too_small = isinstance(default, int) and isinstance(value, int) and value < 1
    if not isinstance(value, kinds) or isinstance(value, bool) or too_small:
        wanted = type(default).__name__
        mistakes.append(f"{key}: {value!r} is not allowed; a {wanted} such as {default!r} is")
    elif isinstance(default, dict):
        for name in sorted(set(value) - set(default)):
            mistakes.append(f"{key}: unknown key {name!r}; allowed are {sorted(default)}")
        if "targets" in default:
            _require(f"{key}.targets", value.get("targets", "all"), LORA_TARGETS, mistakes)
        for name in default:
            _check_type(f"{key}.{name}", value.get(name, default[name]), default[name], mistakes)


CHECKS = (
    _check_names,
    _check_datasets,
    _check_corpora,
    _check_encoders,
    _check_methods,
    _check_studies,
)


def _require(key: str, value: object, allowed: list[str], mistakes: list[str]) -> bool:
    if value in allowed:
        return True
    mistakes.append(_mistake(key, value, allowed))
    return False


def _mistake(key: str, value: object, allowed: list) -> str:
    return f"{key}: {value!r} is not allowed; allowed are {sorted(map(str, allowed))}"


def _fail_on(mistakes: list[str]) -> None:
    if mistakes:
        raise InputError("config", "; ".join(mistakes), "config/README.md explains every key")
