"""Which public source a job fetches, whether it may, and which encoders' files are needed."""

import os

from histopair.datasets import sources
from histopair.plan import entries, recipes

# Needs of a method that its retriever makes, or is.
OF_RETRIEVER = {"reports", "pairs", "text_embeddings", "teacher_images", "teacher_prompts"}
OF_RETRIEVER.add("retriever")
OF_CAPTIONS = {"captions", "caption_embeddings", "caption_activations"}


def allowed(config, w):
    """No files. Raises InputError unless a source is there, or its licence is accepted."""
    if not os.path.exists(sources.RECEIPT.format(source=w.source)):
        sources.require_allowed(w.source, accepted(config))
    return []


def accepted(config):
    """The licences that `accept` names: a list, or a text with commas."""
    licences = config["accept"]
    return (
        licences if isinstance(licences, list) else [part.strip() for part in licences.split(",")]
    )


def source(config, w):
    """The entry of a source."""
    return sources.find(w.source)


def encoders(config):
    """The encoders whose files the page's studies read; of one that is trained here its towers."""
    names = []
    for study in entries.shown_studies(config):
        for run in entries.runs(config, study):
            names += _of_run(config, run)
        for dataset in config["studies"][study]["datasets"]:
            base = config["datasets"][entries.base(config, dataset)]
            names.append(base.get("proposals", {}).get("encoder"))
    names = [name for name in names if name in config["encoders"]]
    return list(dict.fromkeys(part for name in names for part in _untrained(config, name)))


def _of_run(config, run):
    """The encoders of a run, of its reports and captions, and of the run that it learns from."""
    method = entries.of_run(config, run)
    needed, teacher = set(recipes.needs(method)), entries.teacher_of(config, run)
    names = [] if entries.bags(config, run["dataset"]) else [run["encoder"]]
    if needed & OF_RETRIEVER:
        names.append(method.get("retriever"))
    if needed & OF_CAPTIONS:
        names.append(method.get("text_encoder"))
    return [*names, *(_of_run(config, teacher) if teacher else [])]


def _untrained(config, name):
    """An encoder, or the encoders that it is made of if it is trained here."""
    training = config["encoders"][name].get("train")
    if training is None:
        return [name]
    towers = training.get("towers", {}).values()
    return [part for tower in towers for part in _untrained(config, tower)]
