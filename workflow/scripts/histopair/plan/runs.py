"""What a run reads and is made with: by dataset, encoder and method, the same for all seeds."""

from histopair.plan import encoders, entries, recipes
from histopair.plan.places import (
    ACTIVATIONS,
    CHUNKS,
    EMBEDDINGS,
    LABELS,
    PAIRS,
    TEXTS,
    of_runs,
    there,
)


def method(config, w):
    return entries.method(config, w.method, w.dataset)


def needs(config, w):
    return recipes.needs(method(config, w))


def text_encoder(config, w):
    """The encoder of the captions: the method's own, or else the run's."""
    return method(config, w).get("text_encoder") or w.encoder


def artifacts(config, w):
    """Path of each artifact that the method needs, by its name; `labels` always."""
    known = {**_of_dataset(config, w), **_of_retriever(config, w)}
    wanted = {name: known[name] for name in needs(config, w) if name in known}
    return {"labels": LABELS.format(dataset=w.dataset), **wanted}


def of_folds(config, w, file):
    """A file of the run of each fold."""
    count = entries.folds(config["datasets"][w.dataset])
    one = {"encoder": w.encoder, "method": w.method, "seed": w.seed}
    runs = [{"dataset": entries.fold(w.dataset, fold)} | one for fold in range(1, count + 1)]
    return of_runs(runs, file)


def encoder_files(config, w):
    """Weights on disk of the encoders that the method adapts."""
    wanted, found = needs(config, w), []
    if {"images", "image_activations"} & set(wanted):
        found.append(w.encoder)
    if "caption_activations" in wanted:
        found.append(text_encoder(config, w))
    if "retriever" in wanted:
        found.append(method(config, w)["retriever"])
    return [file for encoder in found for file in encoders.files_of(config, encoder)]


def spec(config, w):
    """What a run is made with, for `Run.of`: the folder of its images, its encoders, its method.

    `retriever` and `text_encoder` are None where the method adapts and reads neither.
    """
    wanted, own = needs(config, w), method(config, w)
    others = {
        "retriever": own["retriever"] if "retriever" in wanted else None,
        "text_encoder": text_encoder(config, w) if "caption_activations" in wanted else None,
    }
    return spec_of(config, w, others)


def spec_of(config, w, others):
    """A run's spec with other encoders, by their role in it."""
    made = {"encoder": w.encoder, "retriever": None, "text_encoder": None} | others
    entries_made = {role: name and encoders.entry_of(config, name) for role, name in made.items()}
    return {"root": encoders.root(config, w), **entries_made, "method": method(config, w)}


def modules(config, w):
    """The modules that a run finds by name: its recipe and the loaders of its encoders."""
    made, recipe = spec(config, w), recipes.module(method(config, w))
    used = [made[role] for role in ("encoder", "retriever", "text_encoder") if made[role]]
    loaders = [encoders.loader(config, entry["name"]) for entry in used]
    return [recipe, *loaders]


def _of_dataset(config, w):
    """What encoders make of a dataset's images, captions and classes."""
    texts, found = text_encoder(config, w), {}
    if entries.bags(config, w.dataset):
        found["bags"] = there(entries.features(config, w.dataset)[w.encoder])
    return found | {
        "image_embeddings": _embeddings(config, w, w.encoder, "images"),
        "caption_embeddings": _embeddings(config, w, texts, "captions"),
        "prompt_embeddings": _embeddings(config, w, w.encoder, "prompts"),
        "image_activations": _activations(config, w, w.encoder, "image", "images"),
        "caption_activations": _activations(config, w, texts, "text", "captions"),
    }


def _of_retriever(config, w):
    """The reports, who they are paired with, and what the retriever makes of both and of prompts.

    Random pairing has no table of pairs.
    """
    read = method(config, w)
    retriever, corpus = read.get("retriever"), entries.corpus_of(config, w.dataset, read)
    found = {
        "reports": CHUNKS.format(encoder=retriever, corpus=corpus),
        "text_embeddings": TEXTS.format(encoder=retriever, corpus=corpus),
        "teacher_images": _embeddings(config, w, retriever, "images"),
        "teacher_prompts": _embeddings(config, w, retriever, "prompts"),
    }
    pairing = entries.pairing_of(config, w.dataset, read)
    return found | ({"pairs": f"{PAIRS}.parquet".format(**pairing)} if pairing else {})


def _embeddings(config, w, encoder, kind):
    dataset = entries.base(config, w.dataset)
    return EMBEDDINGS.format(encoder=encoder, dataset=dataset, kind=kind)


def _activations(config, w, encoder, tower, kind):
    """Folder of what a tower's last blocks take: {blocks}, or {blocks}x{turns} of each image."""
    read = method(config, w)
    if "unfreeze" not in read:
        return None
    seen = (
        f"x{read['augmentations']}" if tower == "image" and read.get("augmentations", 1) > 1 else ""
    )
    blocks = f"{recipes.blocks(read, tower)}{seen}"
    dataset = entries.base(config, w.dataset)
    return ACTIVATIONS.format(encoder=encoder, dataset=dataset, kind=kind, blocks=blocks)
