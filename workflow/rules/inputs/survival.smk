# Who reads what, by wildcards: functions for the rules in survival.smk.


def cohort_of(w):
    return config["survival"][w.study]["cohort"]


def cohort_params(cohort):
    """What of a cohort's entry decides its patients and folds."""
    entry = config["cohorts"][cohort]
    names = ("clinical", "columns", "features", "folds", "seed", "val", "max_patches")
    return {name: entry[name] for name in names if name in entry}


def cohort_shown(cohort):
    """What of a cohort's entry its pages tell."""
    entry = config["cohorts"][cohort]
    names = ("corpus", "description", "licence", "retriever", "synthetic", "time_unit")
    return {"name": cohort} | {name: entry[name] for name in names if name in entry}


def texts_of_cohort(cohort):
    entry = config["cohorts"][cohort]
    return f"results/embeddings/{entry['retriever']}/{entry['corpus']}.texts.parquet"


def survival_runs(study):
    """method and seed of each run of a survival study."""
    entry = config["survival"][study]
    return [{"method": m, "seed": s} for m in entry["methods"] for s in entry["seeds"]]


def pairs_of_cohort(cohort, pairing):
    """The pairing that a survival method reads, by the name of the input; none for the others."""
    ends = {"retrieved": "pairs", "oracle": "oracle"}
    return {"pairs": f"results/cohorts/{cohort}.{ends[pairing]}.parquet"} if pairing in ends else {}


def survival_artifacts(w):
    """Text embeddings and pairs, for methods with a text branch only."""
    pairing = config["survival"][w.study]["methods"][w.method]["pairing"]
    texts = {} if pairing == "none" else {"texts": texts_of_cohort(cohort_of(w))}
    return texts | pairs_of_cohort(cohort_of(w), pairing)


def survival_evidence(w):
    """What a survival page shows beside the runs: published figures, true hazards, pairs."""
    study, cohort = config["survival"][w.study], config["cohorts"][cohort_of(w)]
    found = {"truth": there(cohort["truth"])} if "truth" in cohort else {}
    found |= {"published": there(study["published"])} if "published" in study else {}
    pairings = {method["pairing"] for method in study["methods"].values()}
    return found | (pairs_of_cohort(cohort_of(w), "retrieved") if "retrieved" in pairings else {})


def survival_params(study):
    entry = config["survival"][study]
    names = ("title", "description", "reference", "claims")
    kept = {name: entry[name] for name in names if name in entry}
    return kept | {"methods": list(entry["methods"])}
