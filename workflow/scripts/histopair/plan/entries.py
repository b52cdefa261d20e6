"""What the config says of datasets, runs and pairings."""

from collections.abc import Iterable

from histopair.plan import recipes
from histopair.plan.recipes import CORRECTIONS, needs, pairing_source, reads_reports

# What only an encoder with a text tower makes.
TEXT_TOWER = {"prompt_embeddings", "caption_embeddings", "caption_activations"}


def base(config: dict, dataset: str) -> str:
    """The dataset whose samples `dataset` shows: itself, or the one that it splits anew."""
    return config["datasets"][dataset].get("of", dataset)


def shown(config: dict, resplit: str) -> str:
    """Whose labels a resplit splits anew: its base; of a fold the dataset with all folds."""
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
    return 0 if "fold" in split else split.get("folds", 0)


def fold(dataset: str, number: int) -> str:
    """The name of the resplit in which one fold, from 1, is held out."""
    return f"{dataset}-fold-{number}"


def trained(config: dict, name: str) -> str:
    """The dataset that a model is trained on: itself; of one with folds, the first of them."""
    return fold(name, 1) if folds(config["datasets"][name]) else name


def method(config: dict, name: str, dataset: str) -> dict:
    """A method as it runs on a dataset: with what its `datasets` says of that one."""
    found = config["methods"][name]
    plain = {key: value for key, value in found.items() if key != "datasets"}
    return plain | found.get("datasets", {}).get(dataset, {})


def of_run(config: dict, run: dict) -> dict:
    """The method of one of `runs`, as it runs there."""
    return method(config, run["method"], run["dataset"])


def distinct(found: Iterable[dict]) -> list[dict]:
    """Each of some flat dicts once."""
    return list({tuple(entry.items()): entry for entry in found}.values())


def corpus_of(config: dict, dataset: str, method: dict) -> str | None:
    """The corpus a method pairs a dataset with: its own choice, or else the dataset's."""
    entry = config["datasets"][dataset]
    own = config["datasets"][base(config, dataset)].get("corpus")
    return method.get("corpus") or entry.get("corpus", own)


def runs(config: dict, study: str) -> list[dict]:
    """The runs of a study: dataset, encoder, method, seed, column. Methods without chance run once.

    `encoder` is what the run is made with: the method's own, or else the study's, or that one's
    `backbone` where the method reads images alone. `column` is the study's: a method with an
    encoder of its own is compared in each column.
    """
    entry = config["studies"][study]
    return [
        {
            "dataset": dataset,
            "encoder": made.get("encoder") or _adapted(config, column, made),
            "method": name,
            "seed": seed,
            "column": column,
        }
        for dataset in entry["datasets"]
        for column in entry["encoders"]
        for name in entry["methods"]
        for made in [method(config, name, dataset)]
        for seed in recipes.seeds(made, entry["seeds"])
    ]


def shown_studies(config: dict) -> list[str]:
    """The studies that the page shows; the others run by name."""
    return config.get("page") or list(config["studies"])


def pairings(config: dict) -> list[dict]:
    """The pairings that the page shows, as `pairing_of` gives them.

    Beside each that is retrieved stand the corrections in retrieval.compare, where there is one
    train split to correct by.
    """
    found = []
    for study in shown_studies(config):
        for run in runs(config, study):
            made = of_run(config, run)
            found.append(pairing_of(config, run["dataset"], made))
            corrected_by = not folds(config["datasets"][run["dataset"]])
            if made.get("pairing") == "retrieved" and corrected_by:
                for kind in config["retrieval"]["compare"]:
                    corrected = made | {"pairing": kind}
                    found.append(pairing_of(config, run["dataset"], corrected))
    return distinct(pair for pair in found if pair)


def pairing_of(config: dict, dataset: str, method: dict) -> dict | None:
    """The pairing that a method reads: encoder (or "oracle"), dataset, corpus, correction.

    correction is "" or ".NAME", as file names have it. Whatever is corrected looks at the train
    split, and so belongs to a resplit; other pairs are of the dataset whose samples it has. None
    for random pairing and for methods without reports.
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


def _adapted(config: dict, encoder: str, method: dict) -> str:
    """The encoder that a method reads or adapts: a CLIP's `backbone` where that reads no text."""
    wanted = set(needs(method))
    return (
        encoder
        if wanted & {"bags", *TEXT_TOWER}
        else config["encoders"][encoder].get("backbone", encoder)
    )
