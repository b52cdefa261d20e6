"""Cross references of the config's `cohorts` and `survival`."""

from histopair.plan.mistakes import unknown

PAIRED = ("retrieved", "random", "oracle")


def mistakes(config: dict) -> list[str]:
    """One line for each name that does not exist and each method that its cohort cannot serve.

    Also fills in a cohort's `retrieval_features`: its `features`, where it names none.
    """
    found = []
    for name, cohort in config["cohorts"].items():
        cohort.setdefault("retrieval_features", cohort["features"])
        for key, section in (("retriever", "encoders"), ("corpus", "corpora")):
            if key in cohort:
                found += unknown(f"cohorts.{name}.{key}", cohort[key], config[section])
    for name, study in config["survival"].items():
        found += _study(f"survival.{name}", study, config)
    return found


def _study(key: str, study: dict, config: dict) -> list[str]:
    found = unknown(f"{key}.cohort", study["cohort"], config["cohorts"])
    if found:
        return found
    if "reference" in study:
        found += unknown(f"{key}.reference", study["reference"], study["methods"])
    for claim in study["claims"]:
        for side in ("better", "worse"):
            found += unknown(f"{key}.claims.{side}", claim[side], study["methods"])
    cohort = config["cohorts"][study["cohort"]]
    for name, method in study["methods"].items():
        found += _method(f"{key}.methods.{name}", method, study["cohort"], cohort, config)
    return found


def _method(key: str, method: dict, name: str, cohort: dict, config: dict) -> list[str]:
    if method["pairing"] not in PAIRED:
        return []
    missing = [part for part in ("retriever", "corpus") if part not in cohort]
    if missing:
        return [f"{key}: pairing {method['pairing']!r} needs `{missing[0]}` of cohort {name!r}"]
    if method["pairing"] == "oracle":
        corpus = config["corpora"].get(cohort["corpus"], {})
        if "truth" not in cohort or "truth" not in corpus:
            return [f"{key}: it pairs by truth, and cohort {name!r} or its corpus has none"]
    k = config["retrieval"]["k"]
    if method["pairing"] != "random" and method["rank"] > k:
        return [f"{key}.rank: {method['rank']} is not allowed; at most retrieval.k = {k} is"]
    return []
