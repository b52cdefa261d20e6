# Who reads what, by wildcards: functions for the rules in data.smk and embed.smk.

import os

from histopair import readers

NOT_READING = {
    "split",
    "min_count",
    "most_classes",
    "max_quarantined",
    "max_pixels",
    "labels_map",
}
NOT_CLEANING = {
    "chunk_tokens",
    "corpus",
    "description",
    "licence",
    "match",
    "proposals",
    "published",
    "synthetic",
    "truth",
}
CHUNKING = ("chunk_tokens", "whole")  # what of a corpus decides how it is cut for an encoder
TOKENIZING = ("library", "max_length", "model")  # what of an encoder decides its tokens
VIEWS = [name for name, entry in config["datasets"].items() if "of" in entry]
SOURCES = [name for name, entry in config["datasets"].items() if "of" not in entry]


def cleaning(entry):
    """What of a config entry matters to cleaning, in one order."""
    return {key: entry[key] for key in sorted(entry) if key not in NOT_CLEANING}


def published(entry):
    """The files and folders that cleaning an entry reads."""
    reader = readers.find(entry["reader"])
    mapping = [entry["labels_map"]] if entry.get("labels_map") else []
    try:
        files = [there(path) for path in reader.inputs(entry) + mapping]
        if hasattr(reader, "check") and all(map(os.path.exists, files)):
            reader.check(entry)
    except InputError as mistake:
        stop(mistake)
    return files


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


def chunking(corpus):
    return {
        key: config["corpora"][corpus][key] for key in CHUNKING if key in config["corpora"][corpus]
    }


def tokenizing(encoder):
    """What decides how an encoder's tokenizer cuts: nothing of its images."""
    entry = config["encoders"][encoder]
    return {"name": encoder, **{key: entry[key] for key in TOKENIZING if key in entry}}


def any_of(which):
    """A wildcard's pattern for these names; for none of them, one that matches nothing."""
    return "|".join(which) or "(?!)"
