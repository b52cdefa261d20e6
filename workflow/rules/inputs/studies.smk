# Who reads what, by wildcards: functions for the rules in study.smk, and what the report page shows.

from histopair.report import distinct, look


def reference(w):
    """A correction looks at the images of the train split, and needs to know them."""
    return {"labels": f"results/labels/{w.dataset}.parquet"} if w.correction else {}


def outputs_of_runs(study, file):
    """A file of each run of a study, once for each column that shows it."""
    return [f"{RUN}/{file}".format(**run) for run in runs_of(study)]


def outputs_shown(file):
    """A file of each run that the page shows."""
    return [f"{RUN}/{file}".format(**run) for run in distinct(SHOWN_RUNS)]


def datasets_of(study):
    return list(dict.fromkeys(run["dataset"] for run in runs_of(study)))


def study_params(w):
    """What of a study's entry decides its files; how its datasets are split, which are synthetic."""
    entry, datasets = config["studies"][w.study], datasets_of(w.study)
    names = ("title", "description", "metric", "reference", "order", "published", "claims")
    kept = {name: entry[name] for name in names if name in entry}
    splits = {
        name: {"of": base(name), "by": config["datasets"][name]["split"]["by"]} for name in datasets
    }
    synthetic = [name for name in datasets if dataset_entry(name)["synthetic"]]
    return kept | {"datasets": datasets, "splits": splits, "synthetic": synthetic}


def paper_of(study):
    """The csv of the paper's figures, if the study names one."""
    path = config["studies"][study].get("published")
    return [there(path)] if path else []


def truths_of(study):
    """The truth tables of a study's datasets, where there are any; to tell how many labels are wrong."""
    entries = {name: dataset_entry(name) for name in datasets_of(study)}
    return {name: there(entry["truth"]) for name, entry in entries.items() if "truth" in entry}


def truths(w):
    """Truth tables of both sides of a pairing, where there are any; for evaluation only."""
    sides = {"image_truth": dataset_entry(w.dataset), "report_truth": config["corpora"][w.corpus]}
    return {name: there(entry["truth"]) for name, entry in sides.items() if "truth" in entry}


def embedded(runs):
    """Image embeddings that runs or pairings read: encoder and dataset."""
    found = [
        (pair["encoder"], base(pair["dataset"]))
        for pair in pairs_of()
        if pair["encoder"] != "oracle"
    ]
    for run in runs:
        if "image_embeddings" in configuration.needs(config["methods"][run["method"]]["recipe"]):
            found.append((run["encoder"], base(run["dataset"])))
    return [{"encoder": encoder, "dataset": dataset} for encoder, dataset in dict.fromkeys(found)]


def shown():
    """Names of everything that the report page shows."""
    runs = distinct(SHOWN_RUNS)
    texts = [run for run in runs if "pairing" in config["methods"][run["method"]]]
    corpora = [
        configuration.corpus_of(config, run["dataset"], config["methods"][run["method"]])
        for run in texts
    ]
    retrievers = [pair["encoder"] for pair in pairs_of() if pair["encoder"] != "oracle"]
    datasets = list(dict.fromkeys(run["dataset"] for run in runs))
    proposes = [
        name for name in datasets if {"labels_map", "proposals"} & set(config["datasets"][name])
    ]
    return {
        "datasets": datasets,
        "proposals": proposes,
        "corpora": list(dict.fromkeys(corpora)),
        "encoders": list(dict.fromkeys([run["encoder"] for run in runs] + retrievers)),
        "embeddings": embedded(runs),
        "pairs": pairs_of(),
        "runs": {study: runs_of(study) for study in configuration.reported(config)},
    }


SHOWN_RUNS = [run for study in configuration.reported(config) for run in runs_of(study)]
SHOWN = shown()
