"""What cleaning reads, and which keys of an entry decide its labels or reports."""

import os

from histopair import readers
from histopair.plan import entries, given
from histopair.plan.places import EMBEDDINGS, LABELS, made_here, there

NOT_READING = {"split", "min_count", "most_classes", "max_quarantined", "max_pixels", "labels_map"}
NOT_READING |= {"site", "amendments", "amended_splits"}
NOT_CLEANING = {"chunk_tokens", "corpus", "description", "licence", "match", "proposals"}
NOT_CLEANING |= {"published", "synthetic", "truth"}


def resplits(config):
    """Datasets that split the samples of another anew."""
    return [name for name, entry in config["datasets"].items() if "of" in entry]


def folded(config):
    """Datasets that are cross-validated: each of their folds is a resplit."""
    return [name for name, entry in config["datasets"].items() if entries.folds(entry)]


def split(config):
    """Datasets, folds among them, that have a train split."""
    return [name for name, entry in config["datasets"].items() if not entries.folds(entry)]


def bags(config):
    """Datasets whose samples are bags of patches."""
    return [name for name in sources(config) if entries.bags(config, name)]


def images(config):
    """Datasets whose samples are images."""
    return [name for name in sources(config) if not entries.bags(config, name)]


def bag_features(config, w):
    """The folder of a dataset's features by a rule's encoder."""
    return there(entries.features(config, w.dataset)[w.encoder])


def sources(config):
    """Datasets with samples of their own."""
    return [name for name, entry in config["datasets"].items() if "of" not in entry]


def dataset_files(config, w):
    """The files and folders that cleaning a dataset reads."""
    return _published(config["datasets"][w.dataset])


def unmapped_files(config, w):
    """The same for its labels as published, without the mapping."""
    return _published(reading(config, w))


def dataset_content(config, w):
    """What these files hold, and which images lie below a root whose table names them."""
    entry = config["datasets"][w.dataset]
    watched = [*dataset_files(config, w), *([entry["root"]] if entry["reader"] == "table" else [])]
    return given.state(watched)


def unmapped_content(config, w):
    return given.state(unmapped_files(config, w))


def corpus_content(config, w):
    return given.state(corpus_files(config, w))


def corpus_files(config, w):
    """The files and folders that cleaning a corpus reads."""
    return _published(config["corpora"][w.corpus])


def cleaned_dataset(config, w):
    """The keys of a dataset's entry that matter to cleaning, sorted."""
    return _cleaning(config["datasets"][w.dataset])


def cleaned_corpus(config, w):
    return _cleaning(config["corpora"][w.corpus])


def reading(config, w):
    """The keys of a dataset's entry that decide the labels as published."""
    entry = cleaned_dataset(config, w)
    return {key: entry[key] for key in entry if key not in NOT_READING}


def proposing(config, w):
    """What decides the proposed merges of a dataset's labels."""
    entry = config["datasets"][w.dataset]
    kept = {key: entry[key] for key in ("labels_map", "proposals") if key in entry}
    return reading(config, w) | kept


def viewed(config, w):
    """Labels and frequencies of the dataset that a resplit splits anew (`entries.shown`)."""
    path = LABELS.format(dataset=entries.shown(config, w.dataset))
    return {"labels": path, "frequencies": path.replace(".parquet", ".frequencies.parquet")}


def label_embeddings(config, w):
    """Embeddings of a dataset's labels, where its proposals have an encoder."""
    encoder = config["datasets"][w.dataset].get("proposals", {}).get("encoder")
    path = EMBEDDINGS.format(encoder=encoder, dataset=w.dataset, kind="labels")
    return {"embeddings": path} if encoder else {}


def dataset_reader(config, w):
    """The module that reads a dataset."""
    return [f"histopair.readers.{config['datasets'][w.dataset]['reader']}"]


def corpus_reader(config, w):
    """The module that reads a corpus."""
    return [f"histopair.readers.{config['corpora'][w.corpus]['reader']}"]


def _cleaning(entry):
    return {key: entry[key] for key in sorted(entry) if key not in NOT_CLEANING}


def published(entry):
    """The files and folders that an entry's reader reads, its mapping and its amendments."""
    tables = [entry[key] for key in ("labels_map", "amendments") if entry.get(key)]
    return readers.find(entry["reader"]).inputs(entry) + tables


def check_headings(entry):
    """Raise InputError for what the headings of an entry's files show, where all are there.

    Files that the workflow itself makes are not judged: this version may be about to renew them.
    """
    reader = readers.find(entry["reader"])
    complete = all(map(os.path.exists, published(entry)))
    if hasattr(reader, "check") and complete and not any(map(made_here, reader.inputs(entry))):
        reader.check(entry)


def _published(entry):
    files = [there(path) for path in published(entry)]
    check_headings(entry)
    return files
