# Who reads what, by wildcards: functions for the rules in analyses.smk.


def analyses_of(study):
    """The analyses that a study's methods allow, in the order of its page."""
    possible = {
        "complementarity": "complementarity" in config["studies"][study],
        "distillation": distilled_runs(study),
        "tsne": distilled_runs(study),
        "cost": costed_methods(study),
    }
    return [name for name, there in possible.items() if there]


def analysis_files(study, end):
    return [f"results/analyses/{study}.{analysis}.{end}" for analysis in analyses_of(study)]


def synthetic_of(study):
    return [name for name in datasets_of(study) if dataset_entry(name)["synthetic"]]


def compared_runs(study):
    """The runs of the two methods whose errors are compared."""
    pair = config["studies"][study]["complementarity"].values()
    return [run for run in runs_of(study) if run["method"] in pair]


def costed_methods(study):
    """The methods of which one knows how they predict."""
    known = configuration.known("predictors")
    return [
        m for m in config["studies"][study]["methods"] if config["methods"][m]["recipe"] in known
    ]


def costed_runs(study):
    """One run of each method and column, on the study's first dataset: what decides its cost."""
    dataset, found = config["studies"][study]["datasets"][0], {}
    for run in runs_of(study):
        if run["dataset"] == dataset and run["method"] in costed_methods(study):
            found.setdefault((run["column"], run["method"]), run)
    return [run | costed(SimpleNamespace(**run)) for run in found.values()]


def costed(w):
    """Files and parameters that rebuild a run's model."""
    return {
        "files": {
            "weights": f"{RUN}/weights.safetensors".format(**vars(w)),
            **exported_artifacts(w),
        },
        "root": dataset_entry(w.dataset)["root"],
        "entry": encoder_params(w.encoder),
        "text_entry": encoder_params(text_encoder(w)) if reads_notes(w) else None,
        "parameters": method_of(w),
        "templates": config["encoders"][w.encoder]["templates"],
    }


def costed_encoders(w):
    runs = [SimpleNamespace(**run) for run in costed_runs(w.study)]
    return list(dict.fromkeys(file for run in runs for file in exported_encoders(run)))


def costed_code(w):
    runs = [SimpleNamespace(**run) for run in costed_runs(w.study)]
    return list(dict.fromkeys(module for run in runs for module in predicting_code(run)))


def is_distilled(method):
    """Whether a method's image side is taught by texts, in a branch of their own or without."""
    entry = config["methods"][method]
    taught = entry["recipe"] == "clip_it" and entry["teacher"] != "none"
    return taught and configuration.reads_reports(entry)


def distilled_runs(study):
    return [run for run in runs_of(study) if is_distilled(run["method"])]


def pictured_runs(study):
    """One run of each distilled method in each cell, and whether its towers were adapted."""
    found = {}
    for run in distilled_runs(study):
        lora = config["methods"][run["method"]]["lora"] is not None
        cell = run["dataset"], run["column"], run["method"]
        found.setdefault(cell, run | {"lora": lora})
    return list(found.values())


def representations(runs):
    return [f"{RUN}/representations.parquet".format(**run) for run in runs]


def represented_artifacts(w):
    """What tells each sample's text, and the texts as the retriever embeds them."""
    method, kept = method_of(w), ("labels", "reports", "pairs")
    corpus = configuration.corpus_of(config, w.dataset, method)
    texts = f"results/embeddings/{method['retriever']}/{corpus}.texts.parquet"
    found = {name: path for name, path in run_artifacts(w).items() if name in kept}
    return found | {"text_embeddings": texts}
