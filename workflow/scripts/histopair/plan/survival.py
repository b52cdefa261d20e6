"""What a cohort is made from, and what a survival study reads."""

from histopair.plan.places import COHORT, REPORTS, SURVIVAL, TEXTS, there

COHORT_KEYS = ("clinical", "columns", "features", "folds", "seed", "val", "max_patches")
SHOWN_KEYS = ("corpus", "description", "licence", "retriever", "synthetic", "time_unit")
STUDY_KEYS = ("title", "description", "reference", "claims")
PAIRS = {"retrieved": "pairs", "oracle": "oracle"}  # by pairing, the end of its table's name


def cohort(config, w):
    """What of a cohort's entry decides its patients and folds."""
    return _kept(config["cohorts"][_cohort(config, w)], COHORT_KEYS)


def shown_cohort(config, w):
    """What of a cohort's entry its pages tell."""
    name = _cohort(config, w)
    return {"name": name} | _kept(config["cohorts"][name], SHOWN_KEYS)


def clinical(config, w):
    return there(_entry(config, w)["clinical"])


def features(config, w):
    return there(_entry(config, w)["features"])


def retrieval_features(config, w):
    return there(_entry(config, w)["retrieval_features"])


def texts(config, w):
    entry = _entry(config, w)
    return TEXTS.format(encoder=entry["retriever"], corpus=entry["corpus"])


def reports(config, w):
    return REPORTS.format(corpus=_entry(config, w)["corpus"])


def patients_truth(config, w):
    return there(_entry(config, w)["truth"])


def reports_truth(config, w):
    return there(config["corpora"][_entry(config, w)["corpus"]]["truth"])


def patients(config, w):
    return _table(config, w, "")


def audit(config, w):
    return _table(config, w, ".audit")


def method(config, w):
    return config["survival"][w.study]["methods"][w.method]


def artifacts(config, w):
    """Text embeddings and pairs, for methods with a text branch only."""
    pairing = method(config, w)["pairing"]
    return ({} if pairing == "none" else {"texts": texts(config, w)}) | _pairs(config, w, pairing)


def runs(config, w):
    """method and seed of each run of a survival study."""
    study = config["survival"][w.study]
    return [{"method": m, "seed": s} for m in study["methods"] for s in study["seeds"]]


def outputs(config, w, file):
    """A file of each run of a survival study."""
    return [f"{SURVIVAL}/{file}".format(study=w.study, **run) for run in runs(config, w)]


def evidence(config, w):
    """What a survival page shows beside the runs: published figures, true hazards, pairs."""
    study, entry = config["survival"][w.study], _entry(config, w)
    found = {"truth": there(entry["truth"])} if "truth" in entry else {}
    found |= {"published": there(study["published"])} if "published" in study else {}
    pairings = {method["pairing"] for method in study["methods"].values()}
    return found | (_pairs(config, w, "retrieved") if "retrieved" in pairings else {})


def study(config, w):
    """What of a survival study's entry decides its page."""
    entry = config["survival"][w.study]
    return _kept(entry, STUDY_KEYS) | {"methods": list(entry["methods"])}


def _cohort(config, w):
    """The cohort of a rule: its own wildcard, or its study's."""
    return w.cohort if hasattr(w, "cohort") else config["survival"][w.study]["cohort"]


def _entry(config, w):
    return config["cohorts"][_cohort(config, w)]


def _table(config, w, end):
    return f"{COHORT}{end}.parquet".format(cohort=_cohort(config, w))


def _pairs(config, w, pairing):
    """The pairing that a survival method reads, by the name of the input; none for the others."""
    return {"pairs": _table(config, w, f".{PAIRS[pairing]}")} if pairing in PAIRS else {}


def _kept(entry, names):
    return {name: entry[name] for name in names if name in entry}
