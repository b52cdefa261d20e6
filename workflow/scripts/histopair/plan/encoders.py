"""What makes an encoder, and what embeddings, chunks and activations take from it."""

from pathlib import Path

from histopair.files import paths
from histopair.plan import data, entries
from histopair.plan.places import CHUNKS, ENCODER, LABELS

NOT_COMPUTING = {"licence", "description", "preset", "train", "templates"}
CHUNKING = ("chunk_tokens", "whole")  # keys of a corpus that decide how it is cut into chunks
# Keys of an encoder that decide its tokens.
TOKENIZING = (
    "library",
    "max_length",
    "model",
    "revision",
    "text_model",
    "architecture",
    "remote_code",
)


def entry(config, w):
    """What decides the output of a rule's encoder."""
    return entry_of(config, w.encoder)


def entry_of(config, encoder):
    """What decides the output of an encoder: not its licence or its description."""
    settings = config["encoders"][encoder]
    keys = sorted(set(settings) - NOT_COMPUTING)
    return {"name": encoder, **{key: settings[key] for key in keys}}


def files(config, w):
    """Files on disk of a rule's encoder."""
    return files_of(config, w.encoder)


def files_of(config, encoder):
    """Files of an encoder on disk: made by this workflow, or given by path, folders with theirs."""
    settings = config["encoders"][encoder]
    if "train" in settings:
        return [ENCODER.format(encoder=encoder)]
    text = settings.get("text_model", {}).get("model", "")
    named = [settings["model"], settings.get("weights", ""), settings.get("pretrained", ""), text]
    given = (Path(path.removeprefix("local-dir:")) for path in named if path)
    # A folder's time stamp stays as it is if a file in it is written over.
    return [str(file) for path in given if path.exists() for file in (path, *_files_in(path))]


def _files_in(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(
        path for path in files if not any(map(paths.hidden, path.relative_to(folder).parts))
    )


def modules(config, w):
    """The module that loads a rule's encoder."""
    return [loader(config, w.encoder)]


def loader(config, encoder):
    return f"histopair.encoders.libraries.{config['encoders'][encoder]['library']}"


def labels_modules(config, w):
    """The modules that embedding the labels of a dataset finds by name."""
    return [*modules(config, w), *data.dataset_reader(config, w)]


def embedding(config):
    """How vectors are computed and stored: all of `embedding` but how many jobs do it."""
    return {key: value for key, value in config["embedding"].items() if key != "jobs"}


def root(config, w):
    """The folder of a dataset's images; "" for bags, which are in their encoder's folder."""
    return entries.dataset(config, w.dataset).get("root", "")


def templates(config, w):
    """The prompts of an encoder, with a place for the class."""
    return config["encoders"][w.encoder]["templates"]


def chunking(config, w):
    """The keys of a corpus that decide its chunks."""
    corpus = config["corpora"][w.corpus]
    return {key: corpus[key] for key in CHUNKING if key in corpus}


def tokenizing(config, w):
    """What decides how an encoder's tokenizer cuts: no key of its images."""
    settings = config["encoders"][w.encoder]
    return {"name": w.encoder, **{key: settings[key] for key in TOKENIZING if key in settings}}


def training(config, w):
    """How an encoder is trained here."""
    return config["encoders"][w.encoder]["train"]


def training_labels(config, w):
    return LABELS.format(dataset=training(config, w)["dataset"])


def training_root(config, w):
    return entries.dataset(config, training(config, w)["dataset"])["root"]


def training_texts(config, w):
    """The reports that an encoder learns from, cut for its text tower."""
    text = _towers(config, w).get("text")
    corpora = training(config, w).get("corpora", [])
    return [CHUNKS.format(encoder=text, corpus=corpus) for corpus in corpora]


def tower_files(config, w):
    """Files of the encoders whose towers an encoder is made of."""
    return [file for tower in _towers(config, w).values() for file in files_of(config, tower)]


def tower_entries(config, w):
    return {kind: entry_of(config, tower) for kind, tower in _towers(config, w).items()}


def training_modules(config, w):
    """How an encoder is trained, and the loaders of its towers."""
    kind = f"histopair.training.pretrain.{training(config, w)['kind']}"
    return [kind, *(loader(config, tower) for tower in _towers(config, w).values())]


def _towers(config, w):
    return training(config, w).get("towers", {})
