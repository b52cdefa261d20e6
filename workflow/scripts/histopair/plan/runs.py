"""What a run reads and is made with: decided by dataset, encoder and method.

The seed decides only whose run a student learns from.
"""

from histopair.plan import encoders, entries, recipes
from histopair.plan.places import (
    ACTIVATIONS,
    CHUNKS,
    DISTILLED,
    EMBEDDINGS,
    LABELS,
    LOGITS,
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
    """Path of each artifact that the method needs, by its name; `labels` always.

    Raises InputError if one that is not made here is not there.
    """
    named = paths(config, w)
    return named | {name: there(named[name]) for name in ("bags", "pairs") if name in named}


def paths(config, w):
    """The same, whether or not they are there."""
    every = {**_of_dataset(config, w), **_of_retriever(config, w), **_of_teacher(config, w)}
    every |= _distilled(config, w)
    needed = {name: every[name] for name in needs(config, w) if name in every}
    return {"labels": LABELS.format(dataset=w.dataset), **needed}


def before_labels(config, w):
    """The artifacts of what a method learns from all images before it reads labels."""
    ours = _distilled(config, w)
    return {name: path for name, path in artifacts(config, w).items() if name not in ours}


def of_folds(config, w, file):
    """A file of the run of each fold."""
    count = entries.folds(config["datasets"][w.dataset])
    run = {"encoder": w.encoder, "method": w.method, "seed": w.seed}
    runs = [run | {"dataset": entries.fold(w.dataset, fold)} for fold in range(1, count + 1)]
    return of_runs(runs, file)


def encoder_files(config, w):
    """Weights on disk of the encoders that the method adapts."""
    names = adapted(config, w)
    return [file for encoder in names for file in encoders.files_of(config, encoder)]


def adapted(config, w):
    """The encoders that the method adapts, whose weights it loads."""
    needed, names = needs(config, w), []
    if {"images", "image_activations"} & set(needed):
        names.append(w.encoder)
    if {"captions", "caption_activations"} & set(needed):
        names.append(text_encoder(config, w))
    if "retriever" in needed:
        names.append(method(config, w)["retriever"])
    return names


def spec(config, w):
    """What a run is made with, for `Run.of`: the folder of its images, its encoders, its method.

    `retriever` and `text_encoder` are None if the method does not need them.
    """
    needed = needs(config, w)
    reads_captions = {"captions", "caption_activations"} & set(needed)
    others = {
        "retriever": method(config, w)["retriever"] if "retriever" in needed else None,
        "text_encoder": text_encoder(config, w) if reads_captions else None,
    }
    return spec_of(config, w, others)


def spec_of(config, w, others):
    """A run's spec with its other encoders by role."""
    names = {"encoder": w.encoder, "retriever": None, "text_encoder": None} | others
    roles = {role: name and encoders.entry_of(config, name) for role, name in names.items()}
    return {"root": encoders.root(config, w), **roles, "method": method(config, w)}


def modules(config, w):
    """The modules that a run finds by name: its recipe and the loaders of its encoders."""
    parts = spec(config, w)
    used = [parts[role] for role in ("encoder", "retriever", "text_encoder") if parts[role]]
    loaders = [encoders.loader(config, entry["name"]) for entry in used]
    return [recipes.module(parts["method"]), *loaders]


def _of_dataset(config, w):
    """What encoders make of a dataset's images, captions and classes."""
    texts, bags = text_encoder(config, w), {}
    if entries.bags(config, w.dataset):
        bags = {"bags": entries.features(config, w.dataset)[w.encoder]}
    return bags | {
        "image_embeddings": _embeddings(config, w, w.encoder, "images"),
        "caption_embeddings": _embeddings(config, w, texts, "captions"),
        "prompt_embeddings": _embeddings(config, w, w.encoder, "prompts"),
        "image_activations": _activations(config, w, w.encoder, "image", "images"),
        "caption_activations": _activations(config, w, texts, "text", "captions"),
    }


def _of_retriever(config, w):
    """The reports, their pairs, and what the retriever makes of images, reports and prompts.

    Pairing by chance has no table of pairs; that by label draws from the reports' truth.
    """
    settings = method(config, w)
    retriever, corpus = settings.get("retriever"), entries.corpus_of(config, w.dataset, settings)
    paths = {
        "reports": CHUNKS.format(encoder=retriever, corpus=corpus),
        "text_embeddings": TEXTS.format(encoder=retriever, corpus=corpus),
        "teacher_images": _embeddings(config, w, retriever, "images"),
        "teacher_prompts": _embeddings(config, w, retriever, "prompts"),
    }
    if settings.get("pairing") == "label":
        return paths | {"pairs": config["corpora"][corpus]["truth"]}
    pairing = entries.pairing_of(config, w.dataset, settings)
    return paths | ({"pairs": f"{PAIRS}.parquet".format(**pairing)} if pairing else {})


def _of_teacher(config, w):
    """What a student's teacher predicts for all samples."""
    teacher = entries.teacher_of(config, vars(w))
    return {"teacher_logits": LOGITS.format(**teacher)} if teacher else {}


def _distilled(config, w):
    """What is learnt from all images; runs with few labels share that of all labels."""
    if not recipes.distils_first(method(config, w)):
        return {}
    dataset = entries.whole(config, w.dataset)
    first = _first_that_learns_the_same(config, w.method, dataset)
    place = DISTILLED.format(dataset=dataset, encoder=w.encoder, method=first, seed=w.seed)
    return {
        "distilled_weights": f"{place}/weights.safetensors",
        "distilled_history": f"{place}/history.parquet",
        "distilled_vectors": f"{place}/vectors.parquet",
    }


def _first_that_learns_the_same(config, name, dataset):
    """The method whose distillation a method reads: those that differ in later stages share it."""
    ours = recipes.distillation(entries.method(config, name, dataset))
    every = ((other, entries.method(config, other, dataset)) for other in config["methods"])
    return next(other for other, method in every if recipes.distillation(method) == ours)


def _embeddings(config, w, encoder, kind):
    dataset = entries.base(config, w.dataset)
    return EMBEDDINGS.format(encoder=encoder, dataset=dataset, kind=kind)


def _activations(config, w, encoder, tower, kind):
    """Folder of what a tower's last blocks take: {blocks}, or {blocks}x{augmentations}."""
    settings = method(config, w)
    blocks, augmentations = recipes.blocks(settings, tower), settings.get("augmentations", 1)
    if tower == "image" and augmentations > 1:
        blocks = f"{blocks}x{augmentations}"
    dataset = entries.base(config, w.dataset)
    return ACTIVATIONS.format(encoder=encoder, dataset=dataset, kind=kind, blocks=blocks)
