"""Checks of the config's studies, and of each run that they ask for."""

from histopair.evaluation.metrics import METRICS
from histopair.plan import entries, recipes
from histopair.plan.mistakes import unknown


def studies(config: dict) -> list[str]:
    """Mistakes of what a study compares, and of the runs that this takes."""
    found = []
    for name, study in config["studies"].items():
        key = f"studies.{name}"
        parts = [
            mistake
            for part in ("datasets", "encoders", "methods")
            for value in study[part]
            for mistake in unknown(f"{key}.{part}", value, config[part])
        ]
        found += parts + _comparisons(key, study, config)
        if not parts:
            for dataset in study["datasets"]:
                for method in study["methods"]:
                    found += run(config, key, dataset, method)
    return found


def metrics() -> list[str]:
    """Names of all metrics."""
    return list(METRICS)


def _comparisons(key: str, study: dict, config: dict) -> list[str]:
    found = unknown(f"{key}.metric", study["metric"], metrics())
    named = {"reference": study.get("reference")} if study.get("reference") else {}
    named |= {f"complementarity.{role}": m for role, m in study.get("complementarity", {}).items()}
    claims = list(enumerate(study.get("claims", ())))
    named |= {f"claims.{n}.{side}": c[side] for n, c in claims for side in ("better", "worse")}
    for method in study.get("order", []):
        found += unknown(f"{key}.order", method, study["methods"])
    for place, method in named.items():
        found += unknown(f"{key}.{place}", method, study["methods"])
    for number, claim in claims:
        for dataset in claim.get("datasets", ()):
            found += unknown(f"{key}.claims.{number}.datasets", dataset, config["datasets"])
        if claim.get("metric"):
            found += unknown(f"{key}.claims.{number}.metric", claim["metric"], metrics())
    return found


def run(config: dict, key: str, dataset: str, method: str) -> list[str]:
    """Mistakes of one run: a method that pairs needs reports, the oracle what is true of them."""
    entry = entries.method(config, method, dataset)
    if entry["recipe"] not in recipes.known("methods"):
        return []
    found = _of_bags(config, key, dataset, method, entry)
    if found or not recipes.reads_reports(entry):
        return found
    corpus = entries.corpus_of(config, dataset, entry)
    if corpus is None:
        return [
            f"{key}: method {method!r} needs reports, and dataset {dataset!r} names no `corpus`; "
            f"allowed are {sorted(config['corpora'])}"
        ]
    told = (
        config["datasets"][entries.base(config, dataset)],
        config["corpora"].get(corpus, {}),
    )
    if entry["pairing"] == "oracle" and not all(part.get("truth") for part in told):
        return [
            f"{key}: method {method!r} pairs by truth, and {dataset!r} or {corpus!r} has none; "
            "it is for the phantom only"
        ]
    return []


def _of_bags(config: dict, key: str, dataset: str, name: str, method: dict) -> list[str]:
    """A method reads bags or images; of bags there are features by its retriever, too."""
    bags = entries.bags(config, dataset)
    if bags != ("bags" in recipes.needs(method)):
        samples, reads = ("bags", "images") if bags else ("images", "bags")
        return [
            f"{key}: method {name!r} reads {reads}, and the samples of {dataset!r} are {samples}"
        ]
    paired = (
        bags and recipes.reads_reports(method) and method["pairing"] not in ("random", "oracle")
    )
    if not paired:
        return []
    found = unknown(
        f"{key}: method {name!r}, retriever", method["retriever"], entries.features(config, dataset)
    )
    if method["pairing"] in recipes.CORRECTIONS and entries.folds(config["datasets"][dataset]):
        found.append(
            f"{key}: method {name!r} corrects pairs by the train split, and {dataset!r} is "
            "cross-validated; allowed are retrieved, random and oracle"
        )
    return found


def shown(config: dict) -> list[str]:
    """Mistakes of the studies that the page shows."""
    return [
        mistake
        for study in config.get("page", ())
        for mistake in unknown("page", study, config["studies"])
    ]
