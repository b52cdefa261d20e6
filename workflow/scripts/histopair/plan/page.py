"""What the page shows."""

from types import SimpleNamespace

from histopair.pages import distinct
from histopair.plan import entries, recipes, runs
from histopair.plan.places import of_runs

PROPOSING = {"labels_map", "proposals"}  # keys of a dataset whose merges are proposed
OF_TEXTS = ("caption_embeddings", "caption_activations", "prompt_embeddings")


def shown(config):
    """Names of everything that the page shows."""
    unique_runs, pairings = shown_runs(config), entries.pairings(config)
    retrieved = [pair for pair in pairings if pair["encoder"] != "oracle"]
    read = _read(config, unique_runs)
    datasets = list(dict.fromkeys(run["dataset"] for run in unique_runs))
    encoders = [row["encoder"] for row in [*unique_runs, *retrieved]]
    return {
        "datasets": datasets,
        "proposals": [name for name in datasets if PROPOSING & set(config["datasets"][name])],
        "corpora": list(dict.fromkeys(corpus for _, corpus in read)),
        "chunks": _chunked(retrieved, read),
        "encoders": list(dict.fromkeys(encoders)),
        "embeddings": _embedded(config, retrieved, unique_runs),
        "texts": _texts(config, unique_runs),
        "pairs": pairings,
        "runs": {study: entries.runs(config, study) for study in entries.shown_studies(config)},
    }


def shown_runs(config):
    """Each run once, however many studies and columns show it: dataset, encoder, method, seed."""
    studies = entries.shown_studies(config)
    return distinct(run for study in studies for run in entries.runs(config, study))


def outputs(config, file):
    """A file of each run that the page shows."""
    return of_runs(shown_runs(config), file)


def _read(config, unique_runs):
    """Retriever and corpus of each run that reads reports."""
    methods = [(run["dataset"], entries.of_run(config, run)) for run in unique_runs]
    return [
        (method["retriever"], entries.corpus_of(config, dataset, method))
        for dataset, method in methods
        if recipes.reads_reports(method)
    ]


def _chunked(retrieved, read):
    """Chunks that pairings or runs read: encoder and corpus."""
    chunks = [(pair["encoder"], pair["corpus"]) for pair in retrieved] + read
    return [{"encoder": encoder, "corpus": corpus} for encoder, corpus in dict.fromkeys(chunks)]


def _embedded(config, retrieved, unique_runs):
    """Image embeddings that pairings or runs read: encoder and dataset."""
    read = [(pair["encoder"], pair["dataset"]) for pair in retrieved]
    for run in unique_runs:
        if "image_embeddings" in recipes.needs(entries.of_run(config, run)):
            read.append((run["encoder"], run["dataset"]))
    bases = [(encoder, entries.base(config, dataset)) for encoder, dataset in read]
    return [{"encoder": encoder, "dataset": dataset} for encoder, dataset in dict.fromkeys(bases)]


def _texts(config, unique_runs):
    """Captions and prompts that runs read: the files that say how many are cut."""
    inputs = [runs.artifacts(config, SimpleNamespace(**run)) for run in unique_runs]
    files = [paths[kind] for paths in inputs for kind in OF_TEXTS if kind in paths]
    return list(dict.fromkeys(files))
