"""Checks of the config's studies, and of each run that they need."""

from histopair.evaluation.metrics import METRICS
from histopair.plan import entries, external, recipes
from histopair.plan.checks import seen
from histopair.plan.fingerprint import defines
from histopair.plan.mistakes import unknown


def studies(config: dict) -> list[str]:
    """Mistakes in what a study compares, and in the runs that it needs."""
    mistakes = []
    for name, study in config["studies"].items():
        key = f"studies.{name}"
        lines = [
            line
            for part in ("datasets", "encoders", "methods")
            for value in study[part]
            for line in unknown(f"{key}.{part}", value, config[part])
        ]
        for other in study.get("evaluate_on", ()):
            lines += unknown(f"{key}.evaluate_on", other, config["datasets"])
        mistakes += lines + _comparisons(key, study, config)
        if not lines:
            mistakes += _texts(key, study, config)
            mistakes += _asked(f"{key}.active_learning", study, config)
            mistakes += _repeated(f"{key}.repetitions", study, config)
            mistakes += seen.labels(key, name, config) + seen.tuned(key, name, config)
            mistakes += _gate(key, study, config) + _external(f"{key}.evaluate_on", study, config)
            for dataset in study["datasets"]:
                for method in study["methods"]:
                    mistakes += run(config, key, dataset, method)
    return mistakes


def _texts(key: str, study: dict, config: dict) -> list[str]:
    """Encoders of libraries without text towers, for methods that read texts with them."""
    mistakes = []
    for name in study["methods"]:
        method = config["methods"][name]
        if method["recipe"] not in recipes.known("methods"):
            continue
        own = method.get("text_encoder") or method.get("encoder")
        reads = entries.TEXT_TOWER & {*recipes.needs(method)}
        for encoder in ([own] if own else study["encoders"]) if reads else ():
            library = config["encoders"].get(encoder, {}).get("library")
            if library in recipes.known("encoders.libraries") and not _has_texts(library):
                problem = (
                    f"method {name!r} reads texts, and {encoder!r} ({library}) has no text tower"
                )
                instead = "a `text_encoder`" if "text_encoder" in method else "another encoder"
                mistakes.append(f"{key}: {problem}; give it {instead}")
    return mistakes


def _has_texts(library: str) -> bool:
    return defines(f"histopair.encoders.libraries.{library}", "counter")


def _gate(key: str, study: dict, config: dict) -> list[str]:
    """Datasets and corpora without a truth, for a study with a gate."""
    datasets = study["datasets"] if study["gate"] else ()
    corpora = dict.fromkeys(
        entries.corpus_of(config, dataset, method)
        for dataset in datasets
        for method in (entries.method(config, name, dataset) for name in study["methods"])
        if method.get("retriever")
    )
    return [
        f"{key}.gate: dataset {name!r} has no truth; leave it out, only a phantom has a gate"
        for name in datasets
        if "truth" not in entries.dataset(config, name)
    ] + [
        f"{key}.gate: corpus {name!r} has no truth; name a phantom's, or leave `gate` out"
        for name in corpora
        if name in config["corpora"] and "truth" not in config["corpora"][name]
    ]


def _asked(key: str, study: dict, config: dict) -> list[str]:
    """Datasets and metrics with which no reader can be simulated."""
    if "active_learning" not in study:
        return []
    mistakes = []
    for name in study["datasets"]:
        if "truth" not in entries.dataset(config, name):
            mistakes.append(
                f"{key}: dataset {name!r} has no truth; only a phantom's reader has one"
            )
        elif entries.bags(config, name) or entries.folds(config["datasets"][name]):
            mistakes.append(f"{key}: dataset {name!r} has no train split of images; name another")
    metric = METRICS.get(study["metric"])
    if metric and not metric.rate:
        mistakes.append(f"{key}: {study['metric']} follows from no counts; use balanced_accuracy")
    return mistakes


def _repeated(key: str, study: dict, config: dict) -> list[str]:
    """No claims to count, and methods that would learn from the same files in each repetition."""
    if not study["repetitions"]:
        return []
    pairs = [(name, dataset) for name in study["methods"] for dataset in study["datasets"]]
    fixed = [name for name, on in pairs if recipes.of_one_seed(entries.method(config, name, on))]
    claims = f"{key}: it counts how often claims hold, and the study has none; add `claims`"
    return ([] if study.get("claims") else [claims]) + [
        f"{key}: method {name!r} learns from what another job has trained with the study's seeds, "
        "and a repetition has seeds of its own; leave it out, or repeat the others in a study"
        for name in dict.fromkeys(fixed)
    ]


def _external(key: str, study: dict, config: dict) -> list[str]:
    """Datasets and methods that do not fit, where runs are scored on other datasets."""
    names = study.get("evaluate_on", ())
    if not names:
        return []
    mistakes = [
        f"{key}: {name!r} has the samples of every dataset of the study; name another dataset"
        for name in names
        if not any(external.is_other(config, dataset, name) for dataset in study["datasets"])
    ]
    mistakes += [
        f"{key}: {name!r} has bags of patches; only images can be predicted anew"
        for name in (*names, *study["datasets"])
        if entries.bags(config, name)
    ]
    mistakes += [
        f"{key}: {name!r} is cross-validated and has a model for each fold; name a fold as the "
        f"study's dataset, as {entries.fold(name, 1)!r}"
        for name in study["datasets"]
        if entries.folds(config["datasets"][name])
    ]
    return mistakes + [
        f"{key}: method {name!r} cannot predict new images, because its recipe has no `predictor`; "
        "leave it out, or evaluate the others in a study of their own"
        for name in study["methods"]
        if config["methods"][name]["recipe"] in recipes.known("methods")
        and not recipes.predicts(config["methods"][name])
    ]


def _comparisons(key: str, study: dict, config: dict) -> list[str]:
    mistakes = unknown(f"{key}.metric", study["metric"], METRICS)
    named = [("order", method) for method in study.get("order", [])]
    named += [("reference", study["reference"])] if study.get("reference") else []
    named += [(f"complementarity.{r}", m) for r, m in study.get("complementarity", {}).items()]
    claims = list(enumerate(study.get("claims", ())))
    named += [(f"claims.{n}.{side}", c[side]) for n, c in claims for side in ("better", "worse")]
    for place, method in named:
        mistakes += unknown(f"{key}.{place}", method, study["methods"])
    for number, claim in claims:
        for dataset in claim.get("datasets", ()):
            mistakes += unknown(f"{key}.claims.{number}.datasets", dataset, study["datasets"])
        if claim["better"] == claim["worse"]:
            problem = f"'better' and 'worse' are both {claim['better']!r}; name two methods"
            mistakes.append(f"{key}.claims.{number}: {problem}")
        if claim.get("metric"):
            mistakes += unknown(f"{key}.claims.{number}.metric", claim["metric"], METRICS)
    return mistakes


def run(config: dict, key: str, dataset: str, method: str) -> list[str]:
    """Mistakes in one run and its teacher's: who pairs needs reports, the oracle their truth."""
    entry = entries.method(config, method, dataset)
    if entry["recipe"] not in recipes.known("methods"):
        return []
    if config["datasets"][dataset]["split"]["by"] == "test":
        return [f"{key}: all samples of {dataset!r} are test; name it under `evaluate_on`"]
    mistakes = _of_bags(config, key, dataset, method, entry)
    if entry.get("teacher_method"):
        mistakes += run(config, key, dataset, entry["teacher_method"])
    if mistakes or not recipes.reads_reports(entry):
        return mistakes
    corpus = entries.corpus_of(config, dataset, entry)
    if corpus is None:
        return [
            f"{key}: method {method!r} needs reports, and dataset {dataset!r} names no `corpus`; "
            f"allowed are {sorted(config['corpora'])}"
        ]
    sides = entries.dataset(config, dataset), config["corpora"].get(corpus, {})
    if entry["pairing"] == "label" and not sides[1].get("truth"):
        return [
            f"{key}: method {method!r} pairs by the class of reports, and {corpus!r} has no truth; "
            "it is for the phantom only"
        ]
    if entry["pairing"] == "oracle" and not all(side.get("truth") for side in sides):
        return [
            f"{key}: method {method!r} pairs by truth, and {dataset!r} or {corpus!r} has none; "
            "it is for the phantom only"
        ]
    return []


def _of_bags(config: dict, key: str, dataset: str, name: str, method: dict) -> list[str]:
    """A method reads either bags or images. To pair bags, it needs its retriever's features."""
    bags = entries.bags(config, dataset)
    if bags != ("bags" in recipes.needs(method)):
        samples, reads = ("bags", "images") if bags else ("images", "bags")
        return [
            f"{key}: method {name!r} reads {reads}, and the samples of {dataset!r} are {samples}"
        ]
    reads_reports = recipes.reads_reports(method)
    if not (bags and reads_reports and method["pairing"] not in recipes.BEYOND_RETRIEVAL):
        return []
    features = entries.features(config, dataset)
    mistakes = unknown(f"{key}: method {name!r}, retriever", method["retriever"], features)
    if method["pairing"] in recipes.CORRECTIONS and entries.folds(config["datasets"][dataset]):
        mistakes.append(
            f"{key}: method {name!r} corrects pairs by the train split, and {dataset!r} is "
            "cross-validated; allowed are retrieved, random, label and oracle"
        )
    return mistakes


def shown(config: dict) -> list[str]:
    """Mistakes in the studies that the page shows."""
    page = config.get("page", ())
    return [line for study in page for line in unknown("page", study, config["studies"])]
