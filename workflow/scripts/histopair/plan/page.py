"""What the page shows."""

from types import SimpleNamespace

from histopair.pages import distinct
from histopair.plan import encoders, entries, recipes, runs
from histopair.plan.places import of_runs

PROPOSING = {"labels_map", "proposals"}  # keys of a dataset whose merges are proposed
OF_TEXTS = ("caption_embeddings", "caption_activations", "prompt_embeddings")


def shown(config):
    """Names of everything that the page shows."""
    models, pairings = _models(config), entries.pairings(config)
    retrieved = [pair for pair in pairings if pair["encoder"] != "oracle"]
    read = _read(config, models)
    datasets = list(dict.fromkeys(model["dataset"] for model in models))
    encoders = [row["encoder"] for row in [*models, *retrieved]]
    return {
        "datasets": datasets,
        "proposals": [name for name in datasets if PROPOSING & set(config["datasets"][name])],
        "corpora": list(dict.fromkeys(corpus for _, corpus in read)),
        "chunks": _chunked(retrieved, read),
        "encoders": list(dict.fromkeys(encoders)),
        "embeddings": _embedded(config, retrieved, models),
        "texts": _texts(config, models),
        "pairs": pairings,
        "runs": {study: entries.runs(config, study) for study in entries.shown_studies(config)},
    }


def bases(config):
    """The datasets whose cleaning the page tells of their resplits, which it shows without them."""
    datasets = dict.fromkeys(model["dataset"] for model in _models(config))
    return [
        base
        for base in dict.fromkeys(entries.base(config, d) for d in datasets)
        if base not in datasets
    ]


def config_shown(config):
    """The config without what decides how fast results are made, and nothing of them."""
    results = {key: value for key, value in config.items() if key != "training"}
    return results | {"embedding": encoders.embedding(config)}


def shown_runs(config):
    """Each run once, however many studies and columns show it: dataset, encoder, method, seed."""
    studies = entries.shown_studies(config)
    return distinct(run for study in studies for run in entries.runs(config, study))


def outputs(config, file):
    """A file of each run that the page shows."""
    return of_runs(shown_runs(config), file)


def _models(config):
    """What the page's studies train, whatever the seed: dataset, encoder, method, column."""
    studies = entries.shown_studies(config)
    return [model for study in studies for model in entries.models(config, study)]


def _read(config, models):
    """Retriever and corpus of each model that reads reports."""
    methods = [(model["dataset"], entries.of_run(config, model)) for model in models]
    return [
        (method["retriever"], entries.corpus_of(config, dataset, method))
        for dataset, method in methods
        if recipes.reads_reports(method)
    ]


def _chunked(retrieved, read):
    """Chunks that pairings or runs read: encoder and corpus."""
    chunks = [(pair["encoder"], pair["corpus"]) for pair in retrieved] + read
    return [{"encoder": encoder, "corpus": corpus} for encoder, corpus in dict.fromkeys(chunks)]


def _embedded(config, retrieved, models):
    """Image embeddings that pairings or models read: encoder and dataset."""
    read = [(pair["encoder"], pair["dataset"]) for pair in retrieved]
    for model in models:
        if "image_embeddings" in recipes.needs(entries.of_run(config, model)):
            read.append((model["encoder"], model["dataset"]))
    bases = [(encoder, entries.base(config, dataset)) for encoder, dataset in read]
    return [{"encoder": encoder, "dataset": dataset} for encoder, dataset in dict.fromkeys(bases)]


def _texts(config, models):
    """Captions and prompts that models read: the files that say how many are cut."""
    # Those of a student's teacher and of a distillation name the seed, but are none of these files.
    inputs = [runs.artifacts(config, SimpleNamespace(**model, seed=0)) for model in models]
    files = [paths[kind] for paths in inputs for kind in OF_TEXTS if kind in paths]
    return list(dict.fromkeys(files))
