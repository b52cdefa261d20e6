"""What rebuilds a run's model, for its export, its representations and its cost."""

from histopair.errors import InputError
from histopair.plan import encoders, entries, lineage, recipes, runs
from histopair.plan.places import REPORTS, truths


def reads_notes(config, w):
    """Whether a method reads each sample's text when it predicts."""
    return any(need.startswith("caption") for need in runs.needs(config, w))


def artifacts(config, w):
    """Which of the run's inputs an export reads: no texts that only trained it.

    Raises InputError for a dataset that is cross-validated, which has a model for each fold.
    """
    if entries.folds(config["datasets"][w.dataset]):
        problem = "it is cross-validated, and has a model for each fold"
        remedy = f"Export a fold's: {entries.fold(w.dataset, 1)} instead of {w.dataset}"
        raise InputError(f"dataset {w.dataset}", problem, remedy)
    read = runs.paths(config, w)
    read = {name: path for name, path in read.items() if name in ("labels", "prompt_embeddings")}
    corpus = evidence_corpus(config, w)
    return read | ({"evidence": REPORTS.format(corpus=corpus)} if corpus else {})


def evidence_corpus(config, w):
    """The corpus whose reports travel with the export: only if evidence is asked for."""
    if not config["export"]["evidence"]:
        return None
    return entries.corpus_of(config, w.dataset, runs.method(config, w))


def encoder_files(config, w):
    """Files of the encoders that the model predicts with."""
    files = [f for encoder in _encoders(config, w) for f in encoders.files_of(config, encoder)]
    return list(dict.fromkeys(files))


def spec(config, w):
    """A run's spec as it predicts: with the encoder of each sample's text, and no retriever."""
    texts = runs.text_encoder(config, w) if reads_notes(config, w) else None
    return runs.spec_of(config, w, {"text_encoder": texts})


def described(config, w):
    """What an export says of a run: its names, what it was made from, what is asked of it."""
    run = {name: getattr(w, name) for name in ("dataset", "encoder", "method", "seed")}
    corpus = evidence_corpus(config, w)
    return {
        "run": run,
        "sources": lineage.sources(config, run) + lineage.evidence(config, corpus),
        "synthetic": entries.dataset(config, w.dataset)["synthetic"],
        "export": config["export"],
    }


def truth(config, w):
    """The truth of the run's dataset, for a phantom."""
    return truths(truth=entries.dataset(config, w.dataset))


def modules(config, w):
    """The modules found by name when a run's model is rebuilt: its recipe and its loaders."""
    loaders = [encoders.loader(config, encoder) for encoder in _encoders(config, w)]
    return [recipes.module(runs.method(config, w)), *dict.fromkeys(loaders)]


def _encoders(config, w):
    return [w.encoder, runs.text_encoder(config, w)] if reads_notes(config, w) else [w.encoder]
