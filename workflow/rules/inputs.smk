# Who reads what: the functions of wildcards that give rules their inputs and params, stage by stage.

import os
from types import SimpleNamespace

from histopair import readers
from histopair.export import lineage
from histopair.report import distinct, look

NOT_READING = {
    "split",
    "classes",
    "class_names",
    "min_count",
    "max_quarantined",
    "max_pixels",
    "labels_map",
}
NOT_CLEANING = {"description", "licence", "corpus", "truth", "match", "synthetic", "proposals"}
VIEWS = [name for name, entry in config["datasets"].items() if "of" in entry]
SOURCES = [name for name, entry in config["datasets"].items() if "of" not in entry]


def cleaning(entry):
    """What of a config entry matters to cleaning, in one order."""
    return {key: entry[key] for key in sorted(entry) if key not in NOT_CLEANING}


def published(entry):
    """The files and folders that cleaning an entry reads."""
    files = readers.find(entry["reader"]).inputs(entry)
    mapping = [entry["labels_map"]] if entry.get("labels_map") else []
    return [os.path.normpath(path) for path in files + mapping]


def reading(entry):
    """What of a config entry decides the labels as published."""
    return {key: value for key, value in cleaning(entry).items() if key not in NOT_READING}


def proposing(dataset):
    """What decides the proposed merges of a dataset's labels."""
    entry = config["datasets"][dataset]
    kept = {key: entry[key] for key in ("labels_map", "proposals") if key in entry}
    return reading(entry) | kept


def label_embeddings(w):
    """Embeddings of a dataset's labels, where its proposals have an encoder."""
    encoder = config["datasets"][w.dataset].get("proposals", {}).get("encoder")
    found = f"results/embeddings/{encoder}/{w.dataset}.labels.parquet"
    return {"embeddings": found} if encoder else {}


def any_of(which):
    """A wildcard's pattern for these names; for none of them, one that matches nothing."""
    return "|".join(which) or "(?!)"


def train_of(encoder):
    return config["encoders"][encoder]["train"]


def method_of(w):
    return config["methods"][w.method]


def needs(w):
    return configuration.needs(method_of(w)["recipe"])


def run_artifacts(w):
    """Path of each artifact that the method reads, by its name in NEEDS; `labels` always."""
    data, method = base(w.dataset), method_of(w)
    pairing = configuration.pairing_of(config, w.dataset, method)
    corpus = configuration.corpus_of(config, w.dataset, method)
    embeddings = f"results/embeddings/{w.encoder}/{data}"
    known = {
        "image_embeddings": f"{embeddings}.images.parquet",
        "caption_embeddings": f"results/embeddings/{text_encoder(w)}/{data}.captions.parquet",
        "prompt_embeddings": f"{embeddings}.prompts.parquet",
        "image_activations": activations(w, w.encoder, "images"),
        "caption_activations": activations(w, text_encoder(w), "captions"),
        "reports": f"results/reports/{corpus}.parquet",
    }
    if pairing:
        known["pairs"] = f"{PAIRS}.parquet".format(**pairing)
    if configuration.reads_text_embeddings(method):
        texts = f"{method['retriever']}/{corpus}.texts.parquet"
        known["text_embeddings"] = f"results/embeddings/{texts}"
    wanted = {name: known[name] for name in needs(w) if name in known}
    return {"labels": f"results/labels/{w.dataset}.parquet", **wanted}


def run_encoders(w):
    """Weights on disk of the encoders that the method adapts."""
    encoders = [w.encoder] if {"images", "image_activations"} & set(needs(w)) else []
    encoders += [text_encoder(w)] if "caption_activations" in needs(w) else []
    encoders += [method_of(w)["retriever"]] if "pairs" in needs(w) else []
    return [file for encoder in encoders for file in encoder_files(encoder)]


def activations(w, encoder, kind):
    """Folder of what the method's last blocks take: {blocks}, or {blocks}x{views} of each image."""
    blocks, views = method_of(w).get("unfreeze"), method_of(w).get("views", 1)
    seen = f"x{views}" if kind == "images" and views > 1 else ""
    return f"results/activations/{encoder}/{base(w.dataset)}.{kind}.{blocks}{seen}"


def run_params(w):
    """The root of a run's images, and its encoders where the method adapts or reads them."""
    roles = {"retriever": "pairs", "text_encoder": "caption_activations"}
    used = {role for role, artifact in roles.items() if artifact in needs(w)}
    names = {"retriever": method_of(w).get("retriever"), "text_encoder": text_encoder(w)}
    others = {role: encoder_params(names[role]) if role in used else None for role in roles}
    return {
        "root": dataset_entry(w.dataset)["root"],
        "encoder": encoder_params(w.encoder),
        **others,
    }


def run_modules(w):
    """The modules that a run finds by name: its recipe and the loaders of its encoders."""
    made = [entry for role, entry in run_params(w).items() if role != "root" and entry]
    recipe = f"histopair.methods.{method_of(w)['recipe']}"
    return [recipe, *(encoder_code(entry["name"]) for entry in made)]


def searched(w):
    """Dataset, encoder and method of a search, as wildcards of its runs."""
    return SimpleNamespace(**config["searches"][w.search])


def text_encoder(w):
    """The encoder of the captions: the method's own, or else the run's."""
    return method_of(w).get("text_encoder") or w.encoder


RUN = "results/runs/{dataset}/{encoder}/{method}/{seed}"
PAIRS = "results/pairs/{encoder}/{dataset}.{corpus}{correction}"


def retrieval_of(w):
    """What of config `retrieval` decides a pairing: of the corrections, its own settings alone."""
    own = w.correction.lstrip(".").replace("-", "_")
    left_out = {"compare", "csls", "inverted_softmax", "sinkhorn"} - {own}
    entry = config["retrieval"]
    return {key: entry[key] for key in sorted(set(entry) - left_out)}


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


def truths(w):
    """Truth tables of both sides of a pairing, where there are any; for evaluation only."""
    sides = {"image_truth": dataset_entry(w.dataset), "report_truth": config["corpora"][w.corpus]}
    return {name: entry["truth"] for name, entry in sides.items() if "truth" in entry}


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
    found = {"truth": cohort["truth"]} if "truth" in cohort else {}
    found |= {"published": study["published"]} if "published" in study else {}
    pairings = {method["pairing"] for method in study["methods"].values()}
    return found | (pairs_of_cohort(cohort_of(w), "retrieved") if "retrieved" in pairings else {})


def survival_params(study):
    entry = config["survival"][study]
    names = ("title", "description", "reference", "claims")
    kept = {name: entry[name] for name in names if name in entry}
    return kept | {"methods": list(entry["methods"])}


def reads_notes(w):
    """Whether a method reads a text of each sample when it predicts."""
    return any(need.startswith("caption") for need in needs(w))


def exported_artifacts(w):
    """What an export reads of what the run read: texts that were for training are not asked for."""
    return {
        name: path
        for name, path in run_artifacts(w).items()
        if name in ("labels", "prompt_embeddings")
    }


def exported_encoders(w):
    encoders = [w.encoder, text_encoder(w)] if reads_notes(w) else [w.encoder]
    return list(dict.fromkeys(file for encoder in encoders for file in encoder_files(encoder)))


def described(w):
    """What a model card says of a run: its names, what it was made from, whether that is synthetic."""
    run = {name: w[name] for name in ("dataset", "encoder", "method", "seed")}
    return {
        "run": run,
        "sources": lineage.sources(config, run),
        "synthetic": dataset_entry(w.dataset)["synthetic"],
    }


def predicting_code(w):
    """Modules that an export finds by name; a recipe that cannot be exported has none."""
    recipe = method_of(w)["recipe"]
    found = (
        [f"histopair.predictors.{recipe}"] if recipe in configuration.known("predictors") else []
    )
    encoders = [w.encoder, text_encoder(w)] if reads_notes(w) else [w.encoder]
    return [*found, *dict.fromkeys(encoder_code(encoder) for encoder in encoders)]


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
    entry = config["methods"][method]
    return entry["recipe"] == "clip_it" and entry["teacher"] != "none"


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
