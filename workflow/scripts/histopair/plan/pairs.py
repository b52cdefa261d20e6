"""What pairing reads, and what judges it."""

from histopair.errors import InputError
from histopair.plan import entries
from histopair.plan.places import CHUNKS, EMBEDDINGS, LABELS, there, truths


def images(config, w):
    """The embeddings of a dataset's images."""
    dataset = entries.base(config, w.dataset)
    return EMBEDDINGS.format(encoder=w.encoder, dataset=dataset, kind="images")


def train_split(config, w):
    """The labels, which tell a correction the images of the train split that it looks at."""
    return {"labels": LABELS.format(dataset=w.dataset)} if w.correction else {}


def settings(config, w):
    """The keys of `retrieval` that decide a pairing; of the corrections, only its own."""
    correction = w.correction.lstrip(".").replace("-", "_")
    left_out = {"compare", "csls", "inverted_softmax", "sinkhorn"} - {correction}
    entry = config["retrieval"]
    return {key: entry[key] for key in sorted(set(entry) - left_out)}


def modules(config, w):
    """The module that searches on a GPU, if there is one: FAISS here has no GPU support."""
    return ["histopair.retrieval.search_torch"] if config["gpu"] else []


def dataset_truth(config, w):
    return there(config["datasets"][w.dataset]["truth"])


def corpus_truth(config, w):
    return there(config["corpora"][w.corpus]["truth"])


def both_truths(config, w):
    """Truth tables of both sides of a pairing, where there are any; for evaluation only."""
    dataset, corpus = entries.dataset(config, w.dataset), config["corpora"][w.corpus]
    return truths(image_truth=dataset, report_truth=corpus)


def match(config, w):
    """What a class's reports say, if the dataset's entry has it."""
    return entries.dataset(config, w.dataset).get("match")


def chunks_judged(config, w):
    """The chunks that a pairing's methods read: the first retriever's, for pairs by truth."""
    encoder = w.encoder if w.encoder != "oracle" else _oracle_retriever(config, w)
    return CHUNKS.format(encoder=encoder, corpus=w.corpus)


def _oracle_retriever(config, w):
    """The retriever of the first model that reads pairs by truth."""
    wanted = {"encoder": "oracle", "dataset": w.dataset, "corpus": w.corpus, "correction": ""}
    for study in config["studies"]:
        for model in entries.models(config, study):
            method = entries.of_run(config, model)
            if entries.pairing_of(config, model["dataset"], method) == wanted:
                return method["retriever"]
    pairing = f"pairs of {w.dataset} with {w.corpus}"
    raise InputError(pairing, "no run reads them by truth", "Name other pairs")
