# Who reads what, by wildcards: functions for the rules in study.smk, and what the report page shows.

from histopair.report import distinct, look, of_papers


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
    papers = of_papers(config["datasets"], datasets)
    kept |= {"papers_data": papers} if papers else {}
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


def chunks_judged(w):
    """The chunks that a pairing's methods read: by truth, those of the first of their retrievers."""
    retrievers = [w.encoder] if w.encoder != "oracle" else oracle_retrievers(w.dataset, w.corpus)
    return f"results/chunks/{retrievers[0]}/{w.corpus}.parquet"


def oracle_retrievers(dataset, corpus):
    """Retrievers of the runs that read a pairing by the truth."""
    wanted = {"encoder": "oracle", "dataset": dataset, "corpus": corpus, "correction": ""}
    runs = [run for study in config["studies"] for run in runs_of(study)]
    methods = [(run["dataset"], config["methods"][run["method"]]) for run in runs]
    found = [
        method["retriever"]
        for name, method in methods
        if configuration.pairing_of(config, name, method) == wanted
    ]
    pairing = f"pairs of {dataset} with {corpus}"
    return found or stop(InputError(pairing, "no run reads them by truth", "Name other pairs"))


def texts_read(runs):
    """Captions and prompts that runs read: encoder, and the file that says how many are cut."""
    kinds = ("caption_embeddings", "caption_activations", "prompt_embeddings")
    artifacts = [run_artifacts(SimpleNamespace(**run)) for run in runs]
    return list(
        dict.fromkeys(found[kind] for found in artifacts for kind in kinds if kind in found)
    )


def chunked(runs):
    """Corpora as retrievers read them, that runs or pairings read: encoder and corpus."""
    found = [
        (pair["encoder"], pair["corpus"]) for pair in pairs_of() if pair["encoder"] != "oracle"
    ]
    for run in runs:
        method = config["methods"][run["method"]]
        if configuration.reads_reports(method):
            corpus = configuration.corpus_of(config, run["dataset"], method)
            found.append((method["retriever"], corpus))
    return [{"encoder": encoder, "corpus": corpus} for encoder, corpus in dict.fromkeys(found)]


def embedded(runs):
    """Image embeddings that runs or pairings read: encoder and dataset."""
    found = [
        (pair["encoder"], base(pair["dataset"]))
        for pair in pairs_of()
        if pair["encoder"] != "oracle"
    ]
    for run in runs:
        if "image_embeddings" in configuration.needs(config["methods"][run["method"]]):
            found.append((run["encoder"], base(run["dataset"])))
    return [{"encoder": encoder, "dataset": dataset} for encoder, dataset in dict.fromkeys(found)]


def shown():
    """Names of everything that the report page shows."""
    runs = distinct(SHOWN_RUNS)
    texts = [run for run in runs if configuration.reads_reports(config["methods"][run["method"]])]
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
        "chunks": chunked(runs),
        "encoders": list(dict.fromkeys([run["encoder"] for run in runs] + retrievers)),
        "embeddings": embedded(runs),
        "texts": texts_read(runs),
        "pairs": pairs_of(),
        "runs": {study: runs_of(study) for study in configuration.reported(config)},
    }


SHOWN_RUNS = [run for study in configuration.reported(config) for run in runs_of(study)]
SHOWN = shown()
