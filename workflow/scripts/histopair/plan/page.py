"""What the page shows."""

from types import SimpleNamespace

from histopair.plan import entries, recipes, runs
from histopair.plan.places import RUN
from histopair.report import distinct

OF_TEXTS = ("caption_embeddings", "caption_activations", "prompt_embeddings")


def shown(config):
    """Names of everything that the page shows."""
    found = shown_runs(config)
    datasets = list(dict.fromkeys(run["dataset"] for run in found))
    encoders = [run["encoder"] for run in found] + [pair["encoder"] for pair in _retrieved(config)]
    return {
        "datasets": datasets,
        "proposals": [name for name in datasets if _proposes(config["datasets"][name])],
        "corpora": list(dict.fromkeys(corpus for _, corpus in _read(config, found))),
        "chunks": _chunked(config, found),
        "encoders": list(dict.fromkeys(encoders)),
        "embeddings": _embedded(config, found),
        "texts": _texts(config, found),
        "pairs": entries.pairings(config),
        "runs": {study: entries.runs(config, study) for study in entries.reported(config)},
    }


def shown_runs(config):
    """Each run once, however many studies and columns show it: dataset, encoder, method, seed."""
    found = [run for study in entries.reported(config) for run in entries.runs(config, study)]
    return distinct(found)


def outputs(config, file):
    """A file of each run that the page shows."""
    return [f"{RUN}/{file}".format(**run) for run in shown_runs(config)]


def _proposes(dataset):
    return bool({"labels_map", "proposals"} & set(dataset))


def _retrieved(config):
    """The pairings that an encoder made."""
    return [pair for pair in entries.pairings(config) if pair["encoder"] != "oracle"]


def _read(config, found):
    """Retriever and corpus of each run that reads reports."""
    methods = [(run["dataset"], entries.of_run(config, run)) for run in found]
    return [
        (method["retriever"], entries.corpus_of(config, dataset, method))
        for dataset, method in methods
        if recipes.reads_reports(method)
    ]


def _chunked(config, found):
    """Corpora as retrievers read them, that pairings or runs read: encoder and corpus."""
    read = [(pair["encoder"], pair["corpus"]) for pair in _retrieved(config)]
    read += _read(config, found)
    return [{"encoder": encoder, "corpus": corpus} for encoder, corpus in dict.fromkeys(read)]


def _embedded(config, found):
    """Image embeddings that pairings or runs read: encoder and dataset."""
    read = [(pair["encoder"], pair["dataset"]) for pair in _retrieved(config)]
    for run in found:
        if "image_embeddings" in recipes.needs(entries.of_run(config, run)):
            read.append((run["encoder"], run["dataset"]))
    bases = [(encoder, entries.base(config, dataset)) for encoder, dataset in read]
    return [{"encoder": encoder, "dataset": dataset} for encoder, dataset in dict.fromkeys(bases)]


def _texts(config, found):
    """Captions and prompts that runs read: the files that say how many are cut."""
    read = [runs.artifacts(config, SimpleNamespace(**run)) for run in found]
    return list(dict.fromkeys(paths[kind] for paths in read for kind in OF_TEXTS if kind in paths))
