"""Cross references of the config: names that must exist, parameters that must fit."""

from histopair.configuration import (
    CORRECTIONS,
    base,
    choices,
    corpus_of,
    known,
    mistake,
    parameters,
)
from histopair.fingerprint import constant
from histopair.survival import checks as survival
from histopair.training.search_space import changed

VIEW_KEYS = ("of", "split", "class_names", "corpus", "description", "licence", "synthetic")
LORA_TARGETS = ["all", "no-linear"]
PAIRINGS = ("retrieved", *CORRECTIONS, "random", "oracle")
VIEWS = constant("histopair.activations.cache", "VIEWS")  # whose module needs torch
ENCODER_KEYS = ("encoder", "text_encoder")


def views(config: dict) -> list[str]:
    """Mistakes of views: how their samples were cleaned is not their own to say."""
    mistakes = []
    for name, entry in (config.get("datasets") or {}).items():
        if isinstance(entry, dict) and "of" in entry:
            for key in sorted(set(entry) - set(VIEW_KEYS)):
                mistakes.append(
                    f"datasets.{name}: a view cannot have {key!r}; allowed are {sorted(VIEW_KEYS)}"
                )
    return mistakes


def references(config: dict, schema: dict) -> list[str]:
    """Mistakes of a config that fits the schema, with defaults filled in."""
    settings = set(schema["properties"]["methods"]["additionalProperties"]["properties"])
    mistakes: list[str] = []
    for check in (_names, _datasets, _corpora, _encoders, _studies, _searches, _report):
        check(config, mistakes)
    for name, method in config["methods"].items():
        _method(f"methods.{name}", method, settings, config, mistakes)
    return mistakes + survival.mistakes(config)


def _names(config: dict, mistakes: list[str]) -> None:
    if "oracle" in config["encoders"]:
        mistakes.append("encoders.oracle: this name is kept for pairs made from the truth")


def _datasets(config: dict, mistakes: list[str]) -> None:
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
        if encoder := entry.get("proposals", {}).get("encoder"):
            _require(f"{key}.proposals.encoder", encoder, list(config["encoders"]), mistakes)
        if entry["split"]["test"] + entry["split"]["val"] >= 1:
            mistakes.append(f"{key}.split: test and val leave nothing to train on")


def _corpora(config: dict, mistakes: list[str]) -> None:
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


def _encoders(config: dict, mistakes: list[str]) -> None:
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
            mistakes.append(mistake(f"{key}.model", entry["model"], [expected]))


def _method(key: str, method: dict, settings: set, config: dict, mistakes: list[str]) -> None:
    if not _require(f"{key}.recipe", method["recipe"], known("methods"), mistakes):
        return
    defaults = parameters(method)
    for parameter in sorted(set(method) - settings - set(defaults)):
        allowed = sorted(settings | set(defaults))
        mistakes.append(f"{key}: unknown key {parameter!r}; allowed are {allowed}")
    for parameter, default in defaults.items():
        _check_type(f"{key}.{parameter}", method[parameter], default, mistakes)
    for role in ENCODER_KEYS:
        if method.get(role):
            _require(f"{key}.{role}", method[role], list(config["encoders"]), mistakes)
    for parameter, allowed in choices(method).items():
        _require(f"{key}.{parameter}", method[parameter], list(allowed), mistakes)
    if not 1 <= method.get("views", 1) <= VIEWS:
        mistakes.append(f"{key}.views: {method['views']} is not allowed; 1 to {VIEWS} are")
    if "pairing" in method:
        _pairing(key, method, config, mistakes)


def _pairing(key: str, method: dict, config: dict, mistakes: list[str]) -> None:
    _require(f"{key}.pairing", method["pairing"], list(PAIRINGS), mistakes)
    _require(f"{key}.retriever", method["retriever"], list(config["encoders"]), mistakes)
    if method.get("corpus"):
        _require(f"{key}.corpus", method["corpus"], list(config["corpora"]), mistakes)
    if method["pairing"] not in ("random", "oracle"):
        _check_rank(f"{key}.rank", method["rank"], config["retrieval"]["k"], mistakes)


def _check_rank(key: str, rank: object, k: int, mistakes: list[str]) -> None:
    if isinstance(rank, int) and not 1 <= rank <= k:
        mistakes.append(f"{key}: {rank} is not allowed; at most retrieval.k = {k} is")


def _studies(config: dict, mistakes: list[str]) -> None:
    for name, study in config["studies"].items():
        key = f"studies.{name}"
        good = True
        for part in ("datasets", "encoders", "methods"):
            for value in study[part]:
                good &= _require(f"{key}.{part}", value, list(config[part]), mistakes)
        metrics = [
            *constant("histopair.evaluation.metrics", "SINGLE"),
            *constant("histopair.evaluation.metrics", "MULTI"),
        ]
        _require(f"{key}.metric", study["metric"], metrics, mistakes)
        if study.get("reference"):
            _require(f"{key}.reference", study["reference"], study["methods"], mistakes)
        for method in study.get("order", []):
            _require(f"{key}.order", method, study["methods"], mistakes)
        for role, method in study.get("complementarity", {}).items():
            _require(f"{key}.complementarity.{role}", method, study["methods"], mistakes)
        for number, claim in enumerate(study.get("claims", ())):
            for part in ("better", "worse"):
                _require(f"{key}.claims.{number}.{part}", claim[part], study["methods"], mistakes)
            if claim.get("metric"):
                _require(f"{key}.claims.{number}.metric", claim["metric"], metrics, mistakes)
        for dataset in study["datasets"] if good else ():
            for method in study["methods"]:
                _run(config, key, dataset, method, mistakes)


def _searches(config: dict, mistakes: list[str]) -> None:
    for name, search in config["searches"].items():
        key = f"searches.{name}"
        metrics = [
            *constant("histopair.evaluation.metrics", "SINGLE"),
            *constant("histopair.evaluation.metrics", "MULTI"),
        ]
        good = _require(f"{key}.metric", search["metric"], metrics, mistakes)
        for part in ("dataset", "encoder", "method"):
            good &= _require(f"{key}.{part}", search[part], list(config[f"{part}s"]), mistakes)
        if good:
            _run(config, key, search["dataset"], search["method"], mistakes)
            _space(f"{key}.space", search["space"], config["methods"][search["method"]], mistakes)


def _space(key: str, space: dict, method: dict, mistakes: list[str]) -> None:
    """Each parameter is one that the method has, with values that it may have."""
    known: list[str] = []
    for name, domain in space.items():
        values = domain if isinstance(domain, list) else [domain.get("low")]
        if isinstance(domain, dict) and "times" in domain:
            _require(f"{key}.{name}.times", domain["times"], known, mistakes)
            values = domain["of"]
        known.append(name)
        for value in values:
            try:
                trial = changed(method, {name: value})
            except (KeyError, TypeError):
                mistakes.append(f"{key}: method has no parameter {name!r}")
                break
            first, default = name.split(".")[0], parameters(method)
            if first in default:
                _check_type(f"{key}.{name}", trial[first], default[first], mistakes)
            if first in choices(method):
                _require(f"{key}.{name}", value, list(choices(method)[first]), mistakes)


def _run(config: dict, key: str, dataset: str, method: str, mistakes: list[str]) -> None:
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

    Whole numbers count something, and start at 1; others weigh something, and start at 0. A dict
    may be null: that part is left out.
    """
    if isinstance(default, dict) and value is None:
        return
    kinds = (int, float) if isinstance(default, float) else type(default)
    least = 1 if isinstance(default, int) else 0
    too_small = isinstance(value, (int, float)) and value < least
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


def _report(config: dict, mistakes: list[str]) -> None:
    for study in config.get("report", ()):
        _require("report", study, list(config["studies"]), mistakes)


def _require(key: str, value: object, allowed: list[str], mistakes: list[str]) -> bool:
    if value in allowed:
        return True
    mistakes.append(mistake(key, value, allowed))
    return False
