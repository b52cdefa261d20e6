# Who reads what, by wildcards: functions for the rules in train.smk, activations.smk, pair.smk and search.smk.

from types import SimpleNamespace


def train_of(encoder):
    return config["encoders"][encoder]["train"]


def training_texts(w):
    """The reports that an encoder learns from, as its text tower reads them."""
    train = train_of(w.encoder)
    return expand(
        "results/chunks/{tower}/{corpus}.parquet",
        tower=train.get("towers", {}).get("text"),
        corpus=train.get("corpora", []),
    )


def method_of(w):
    return config["methods"][w.method]


def needs(w):
    return configuration.needs(method_of(w))


def run_artifacts(w):
    """Path of each artifact that the method reads, by its name in NEEDS; `labels` always."""
    data, method = base(w.dataset), method_of(w)
    pairing = configuration.pairing_of(config, w.dataset, method)
    corpus = configuration.corpus_of(config, w.dataset, method)
    embeddings = f"results/embeddings/{w.encoder}/{data}"
    known = {
        "image_embeddings": f"{embeddings}.images.parquet",
        "caption_embeddings": f"results/embeddings/{text_encoder(w)}/{data}.captions.parquet",
        "prompt_embeddings": f"{embeddings}.prompts.parquet",
        "image_activations": activations(w, "image", w.encoder),
        "caption_activations": activations(w, "text", text_encoder(w)),
    }
    if configuration.reads_reports(method):
        known["reports"] = f"results/chunks/{method['retriever']}/{corpus}.parquet"
    teacher = {
        "image": ("teacher_images", "images"),
        "label-prompt": ("teacher_prompts", "prompts"),
    }
    if method.get("teacher_of") in teacher:
        name, kind = teacher[method["teacher_of"]]
        known[name] = f"results/embeddings/{method['retriever']}/{data}.{kind}.parquet"
    if pairing:
        known["pairs"] = f"{PAIRS}.parquet".format(**pairing)
    if configuration.reads_text_embeddings(method):
        texts = f"{method['retriever']}/{corpus}.texts.parquet"
        known["text_embeddings"] = f"results/embeddings/{texts}"
    wanted = {name: known[name] for name in needs(w) if name in known}
    return {"labels": f"results/labels/{w.dataset}.parquet", **wanted}


def run_encoders(w):
    """Weights on disk of the encoders that the method adapts."""
    encoders = [w.encoder] if {"images", "image_activations"} & set(needs(w)) else []
    encoders += [text_encoder(w)] if "caption_activations" in needs(w) else []
    encoders += [method_of(w)["retriever"]] if "pairs" in needs(w) else []
    return [file for encoder in encoders for file in encoder_files(encoder)]


def activations(w, tower, encoder):
    """Folder of what a tower's last blocks take: {blocks}, or {blocks}x{views} of each image."""
    method, kind = method_of(w), {"image": "images", "text": "captions"}[tower]
    if "unfreeze" not in method:
        return None
    seen = f"x{method['views']}" if tower == "image" and method.get("views", 1) > 1 else ""
    blocks = configuration.blocks(method, tower)
    return f"results/activations/{encoder}/{base(w.dataset)}.{kind}.{blocks}{seen}"


def run_params(w):
    """The root of a run's images, and its encoders where the method adapts or reads them."""
    roles = {"retriever": "pairs", "text_encoder": "caption_activations"}
    used = {role for role, artifact in roles.items() if artifact in needs(w)}
    names = {"retriever": method_of(w).get("retriever"), "text_encoder": text_encoder(w)}
    others = {role: encoder_params(names[role]) if role in used else None for role in roles}
    return {
        "root": dataset_entry(w.dataset)["root"],
        "encoder": encoder_params(w.encoder),
        **others,
    }


def run_modules(w):
    """The modules that a run finds by name: its recipe and the loaders of its encoders."""
    made = [entry for role, entry in run_params(w).items() if role != "root" and entry]
    recipe = f"histopair.methods.{method_of(w)['recipe']}"
    return [recipe, *(encoder_code(entry["name"]) for entry in made)]


def searched(w):
    """Dataset, encoder and method of a search, as wildcards of its runs."""
    return SimpleNamespace(**config["searches"][w.search])


def text_encoder(w):
    """The encoder of the captions: the method's own, or else the run's."""
    return method_of(w).get("text_encoder") or w.encoder


RUN = "results/runs/{dataset}/{encoder}/{method}/{seed}"
PAIRS = "results/pairs/{encoder}/{dataset}.{corpus}{correction}"


def retrieval_of(w):
    """What of config `retrieval` decides a pairing: of the corrections, its own settings alone."""
    own = w.correction.lstrip(".").replace("-", "_")
    left_out = {"compare", "csls", "inverted_softmax", "sinkhorn"} - {own}
    entry = config["retrieval"]
    return {key: entry[key] for key in sorted(set(entry) - left_out)}
