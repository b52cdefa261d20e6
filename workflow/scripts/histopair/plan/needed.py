"""What the studies that the page shows need, directly or by way of others.

A run is a dict of dataset, encoder, method and seed. With `config | {"page": [...]}` all of this
is about other studies.
"""

import re
from functools import partial
from types import SimpleNamespace

from histopair.pages import distinct
from histopair.plan import entries, external, page, places, recipes
from histopair.plan import runs as of_runs

RUN = ("dataset", "encoder", "method", "seed")
CACHES = (places.TEXTS, places.EMBEDDINGS, places.ACTIVATIONS, places.CHUNKS)


def runs(config):
    """The runs that the page shows, and those that teach them."""
    rows, new = [], [{key: run[key] for key in RUN} for run in page.shown_runs(config)]
    while new:
        rows += new
        teachers = [entries.teacher_of(config, run) for run in new]
        new = [run for run in distinct(filter(None, teachers)) if run not in rows]
    return rows


def reads(config):
    """For each run, and each evaluation on another dataset, a function that gives what it reads.

    Each gives paths, whether or not they are there, and raises InputError where none can be named.
    """
    for run in runs(config):
        yield partial(_read, config, run)
    for study in entries.shown_studies(config):
        for run in external.evaluated(config, SimpleNamespace(study=study)):
            yield partial(_read_outside, config, run)


def _read(config, run):
    """The artifacts of a run, and what its pairs are made of."""
    paths = list(of_runs.paths(config, SimpleNamespace(**run)).values())
    pairing = entries.pairing_of(config, run["dataset"], entries.of_run(config, run))
    if pairing and pairing["encoder"] != "oracle":
        base = entries.base(config, run["dataset"])
        cache = {"encoder": pairing["encoder"], "dataset": base, "corpus": pairing["corpus"]}
        paths += [
            places.EMBEDDINGS.format(**cache, kind="images"),
            places.TEXTS.format(**cache),
        ]
    return paths


def _read_outside(config, run):
    return list(external.artifacts(config, SimpleNamespace(**run)).values())


def cache(path):
    """The names in the path of an embedding, activations or chunks; None for another path.

    encoder; dataset and kind ("images" ...), or corpus; of activations also blocks.
    """
    for place in CACHES:
        if match := re.fullmatch(_pattern(place), path):
            return {"rule": place.split("/")[1], **match.groupdict()}
    return None


def loaded(config, paths):
    """The encoders that are loaded: for caches, by methods that adapt them, for trainings here."""
    caches = [names for names in map(cache, paths) if names and not of_bags(config, names)]
    named = [names["encoder"] for names in caches]
    for run in runs(config):
        named += of_runs.adapted(config, SimpleNamespace(**run))
    for name in datasets_of_runs(config):
        named.append(config["datasets"][name].get("proposals", {}).get("encoder"))
    order = list(dict.fromkeys(filter(None, named)))
    for name in order:  # grows
        towers = config["encoders"][name].get("train", {}).get("towers", {}).values()
        order += [tower for tower in towers if tower not in order]
    return order


def datasets(config, encoders_loaded):
    """Datasets with samples of their own: of runs, evaluations, and trainings of encoders."""
    trainings = _trainings(config, encoders_loaded)
    names = [*datasets_of_runs(config), *(train["dataset"] for train in trainings)]
    return list(dict.fromkeys(entries.base(config, name) for name in names))


def datasets_of_runs(config):
    """The same without trainings of encoders."""
    shown = entries.shown_studies(config)
    names = [run["dataset"] for run in runs(config)]
    names += [name for study in shown for name in config["studies"][study].get("evaluate_on", ())]
    return list(dict.fromkeys(entries.base(config, name) for name in names))


def resplits(config, name):
    """The datasets of runs that split the samples of a dataset anew; of folds the first alone."""
    shown = [run["dataset"] for run in runs(config)]
    trained_on = dict.fromkeys(entries.trained(config, dataset) for dataset in shown)
    return [other for other in trained_on if other != name and entries.base(config, other) == name]


def corpora(config, encoders_loaded):
    """Corpora that runs read, and from which encoders learn."""
    names = []
    for run in runs(config):
        method = entries.of_run(config, run)
        if recipes.reads_reports(method):
            names.append(entries.corpus_of(config, run["dataset"], method))
    for train in _trainings(config, encoders_loaded):
        names += train.get("corpora", [])
    return list(dict.fromkeys(names))


def trained(config, run):
    """How much of its image encoder a run trains: its last blocks, "all", or 0 for none of it."""
    method, needed = entries.of_run(config, run), of_runs.needs(config, SimpleNamespace(**run))
    if not {"images", "image_activations"} & set(needed):
        return 0
    return recipes.blocks(method, "image") or ("all" if "images" in needed else 0)


def _trainings(config, names):
    entries_loaded = [config["encoders"][name] for name in names]
    return [entry["train"] for entry in entries_loaded if "train" in entry]


def of_bags(config, names):
    """Whether a cache holds what others computed."""
    return names.get("kind") == "images" and entries.bags(config, names["dataset"])


def _pattern(place):
    return re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/.]+)", re.escape(place))
