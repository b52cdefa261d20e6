"""What the config says about datasets, runs and pairings."""

from histopair.plan import recipes
from histopair.plan.recipes import CORRECTIONS, needs, pairing_source, reads_reports

# Only an encoder with a text tower makes these.
TEXT_TOWER = {"prompt_embeddings", "captions", "caption_embeddings", "caption_activations"}


def base(config: dict, dataset: str) -> str:
    """The dataset whose samples `dataset` has: itself, or the one that it splits anew."""
    return config["datasets"][dataset].get("of", dataset)


def shown(config: dict, resplit: str) -> str:
    """The dataset whose labels a resplit splits anew: its base; for a fold the dataset with all."""
    fold = config["datasets"][resplit]["split"].get("fold")
    return resplit.removesuffix(f"-fold-{fold}") if fold else base(config, resplit)


def dataset(config: dict, name: str) -> dict:
    """The entry that says where a dataset's samples come from: its own, or that of its base."""
    return config["datasets"][base(config, name)]


def bags(config: dict, name: str) -> bool:
    """Whether a dataset's samples are bags of patches."""
    return "features" in dataset(config, name)


def features(config: dict, name: str) -> dict[str, str]:
    """By encoder, the folder of the patch features of a dataset of bags."""
    return dataset(config, name)["features"]


def folds(entry: dict) -> int:
    """How many folds a dataset's entry asks for; 0 for none, and for a fold itself."""
    split = entry["split"]
    return 0 if "fold" in split else len(split.get("sites", ())) or split.get("folds", 0)


def trainable(config: dict, name: str) -> bool:
    """Whether a dataset has one train split: it has no folds, and not all its samples are test."""
    entry = config["datasets"][name]
    return not folds(entry) and entry["split"]["by"] != "test"


def fold(dataset: str, number: int) -> str:
    """The name of the resplit in which one fold, from 1, is held out."""
    return f"{dataset}-fold-{number}"


def few(dataset: str, labels: int | str) -> str:
    """The name of a dataset with so many labels of each class; itself with "all"."""
    return dataset if labels == "all" else f"{dataset}-{labels}-labels"


def labels(config: dict, dataset: str) -> int | None:
    """How many samples of each class are labelled; None for all."""
    return config["datasets"][dataset]["split"].get("labels")


def whole(config: dict, dataset: str) -> str:
    """The same dataset with all labels."""
    few_of = labels(config, dataset)
    return dataset.removesuffix(f"-{few_of}-labels") if few_of else dataset


def trained(config: dict, name: str) -> str:
    """The dataset that a model is trained on: itself, or its first fold if it has folds."""
    return fold(name, 1) if folds(config["datasets"][name]) else name


def method(config: dict, name: str, dataset: str) -> dict:
    """A method as it runs on a dataset: with what its `datasets` says about that one."""
    entry = config["methods"][name]
    plain = {key: value for key, value in entry.items() if key != "datasets"}
    return plain | entry.get("datasets", {}).get(dataset, {})


def of_run(config: dict, run: dict) -> dict:
    """The method of one of `runs` or `models`, as it runs there."""
    return method(config, run["method"], run["dataset"])


def corpus_of(config: dict, dataset: str, method: dict) -> str | None:
    """The corpus a method pairs a dataset with: its own choice, or else the dataset's."""
    entry = config["datasets"][dataset]
    corpus_of_base = config["datasets"][base(config, dataset)].get("corpus")
    return method.get("corpus") or entry.get("corpus", corpus_of_base)


def runs(config: dict, study: str) -> list[dict]:
    """The runs of a study: dataset, encoder, method, seed, column.

    Methods without chance run once.
    """
    names = ("dataset", "encoder", "method", "seed", "column")
    seeded = (
        model | {"seed": seed}
        for model in models(config, study)
        for seed in seeds(config, study, model["dataset"], model["method"])
    )
    return [{name: run[name] for name in names} for run in seeded]


def models(config: dict, study: str) -> list[dict]:
    """What a study trains, whatever the seed: dataset, encoder, method, column.

    `encoder` is the one that the runs use: the method's own, or else the study's, or the study's
    `backbone` if the method reads only images. `column` is the study's: a method with an encoder of
    its own is compared in each column.
    """
    entry = config["studies"][study]
    return [
        {"dataset": dataset, "encoder": encoder, "method": name, "column": column}
        for dataset in entry["datasets"]
        for column in entry["encoders"]
        for name in entry["methods"]
        for encoder in [encoder_of(config, column, method(config, name, dataset))]
    ]


def seeds(config: dict, study: str, dataset: str, name: str) -> list[int]:
    """The seeds of a method's runs in a study. Where labels are few, each seed draws its own."""
    every = config["studies"][study]["seeds"]
    if labels(config, dataset):
        return every
    return recipes.seeds(method(config, name, dataset), every)


def teacher_of(config: dict, run: dict) -> dict | None:
    """The run that a student's run learns from, if any: of the same dataset and seed.

    run: dataset, encoder, method, seed.
    """
    student = of_run(config, run)
    if not student.get("teacher_method"):
        return None
    name = student["teacher_method"]
    column = student["teacher_encoder"] or run["encoder"]
    encoder = encoder_of(config, column, method(config, name, run["dataset"]))
    return run | {"encoder": encoder, "method": name}


def shown_studies(config: dict) -> list[str]:
    """The studies that the page shows; the others run by name."""
    return config.get("page") or list(config["studies"])


def pairings(config: dict) -> list[dict]:
    """The pairings that the page shows, as `pairing_of` gives them.

    The corrections in retrieval.compare follow each that is retrieved, where there is one train
    split to correct by and all of it has labels.
    """
    pairs = []
    for study in shown_studies(config):
        for model in models(config, study):
            entry, kinds = of_run(config, model), []
            is_one_split = not folds(config["datasets"][model["dataset"]])
            is_whole = not labels(config, model["dataset"])
            if entry.get("pairing") == "retrieved" and is_one_split and is_whole:
                kinds = [{"pairing": kind} for kind in config["retrieval"]["compare"]]
            pairs += [pairing_of(config, model["dataset"], entry | kind) for kind in [{}, *kinds]]
    return list({tuple(pair.items()): pair for pair in pairs if pair}.values())


def pairing_of(config: dict, dataset: str, method: dict) -> dict | None:
    """The pairing that a method reads: encoder (or "oracle"), dataset, corpus, correction.

    correction is "" or ".NAME", as in file names. A correction looks at the train split, so it
    belongs to the resplit; other pairs belong to the dataset whose samples it has. None for random
    pairing and for methods without reports.
    """
    source = pairing_source(method) if reads_reports(method) else None
    if source is None:
        return None
    corrected = method["pairing"] in CORRECTIONS
    return {
        "encoder": source,
        "dataset": dataset if corrected else base(config, dataset),
        "corpus": corpus_of(config, dataset, method),
        "correction": f".{method['pairing']}" if corrected else "",
    }


def encoder_of(config: dict, encoder: str, method: dict) -> str:
    """The encoder that a method's runs use beside a study's `encoder`: its own, if it has one.

    Of a CLIP it is the `backbone`, if the method reads no text.
    """
    if method.get("encoder"):
        return method["encoder"]
    if set(needs(method)) & {"bags", *TEXT_TOWER}:
        return encoder
    return config["encoders"][encoder].get("backbone", encoder)
