"""What a study compares, and what its tables are made from."""

from histopair.pages import different, of_papers
from histopair.plan import entries, recipes
from histopair.plan.places import EMBEDDINGS, GATE, LABELS, PAIRS, of_runs, there, truths

STUDY = ("title", "description", "metric", "reference", "order", "published", "claims")


def runs(config, w):
    """dataset, encoder, method, seed, column and `probes` of each run."""
    all_runs = entries.runs(config, w.study)
    return [run | {"probes": _probes(config, run, all_runs)} for run in all_runs]


def _probes(config, run, all_runs):
    """The methods of a run's cell that are at their optimum and read no more than the run does.

    None for a run that is at its optimum itself.
    """
    if recipes.at_optimum(entries.of_run(config, run)):
        return []
    place, read = (run["dataset"], run["column"]), _inputs(config, run)
    return [
        other["method"]
        for other in all_runs
        if (other["dataset"], other["column"]) == place
        and recipes.at_optimum(entries.of_run(config, other))
        and _inputs(config, other) <= read
    ]


def _inputs(config, run):
    """What a run's model reads, each with its encoder."""
    method = entries.of_run(config, run)
    encoders = {"image": run["encoder"], "caption": method.get("text_encoder") or run["encoder"]}
    return {(kind, encoders[kind]) for kind in recipes.reads(method)}


def datasets(config, w):
    return list(dict.fromkeys(run["dataset"] for run in runs(config, w)))


def outputs(config, w, file):
    """A file of each run of a study, once for each column that shows it."""
    return of_runs(runs(config, w), file)


def labels(config, w):
    return [LABELS.format(dataset=dataset) for dataset in datasets(config, w)]


def paper(config, w):
    """The csv of the paper's numbers, if the study names one."""
    path = config["studies"][w.study].get("published")
    return [there(path)] if path else []


def dataset_truths(config, w):
    """The truth tables of a study's datasets, which say how many labels are wrong."""
    return truths(**{name: entries.dataset(config, name) for name in datasets(config, w)})


def truth_files(config, w):
    return list(dataset_truths(config, w).values())


def metric(config, w):
    return config["studies"][w.study]["metric"]


def synthetic(config, w):
    return [name for name in datasets(config, w) if entries.dataset(config, name)["synthetic"]]


def gates(config, w):
    """Files that say whether a study's worlds can tell anything about text, by retriever."""
    if not config["studies"][w.study]["gate"]:
        return []
    found = [
        {"retriever": made["retriever"], "encoder": run["encoder"], "corpus": corpus}
        | {"dataset": split(config, run["dataset"])["whole"]}
        for run in entries.runs(config, w.study)
        for made in [entries.of_run(config, run)]
        if made.get("retriever")
        for corpus in [entries.corpus_of(config, run["dataset"], made)]
    ]
    return list(dict.fromkeys(GATE.format(**gate) for gate in found))


def gate_inputs(config, w):
    """What a gate is judged by: the dataset, both truths, both encoders' images, and the pairs."""
    base = entries.base(config, w.dataset)
    encoders = {"backbone": w.encoder, "retriever": w.retriever}
    pairs = PAIRS.format(encoder=w.retriever, dataset=base, corpus=w.corpus, correction="")
    return {
        "labels": LABELS.format(dataset=w.dataset),
        "truth": there(config["datasets"][base]["truth"]),
        "report_truth": there(config["corpora"][w.corpus]["truth"]),
        "pairs": f"{pairs}.parquet",
    } | {
        name: EMBEDDINGS.format(encoder=encoder, dataset=base, kind="images")
        for name, encoder in encoders.items()
    }


def settings(config, w):
    """What decides a study's files: keys of its entry, and how its datasets are split."""
    entry, names = config["studies"][w.study], datasets(config, w)
    kept = {key: entry[key] for key in STUDY if key in entry}
    splits = {name: split(config, name) for name in names}
    if papers := of_papers(config["datasets"], names):
        kept["papers_data"] = papers
    if changed := different(config["methods"], entry):
        kept["different"] = changed
    return kept | {"datasets": names, "splits": splits, "synthetic": synthetic(config, w)}


def split(config, dataset):
    """The dataset whose samples a dataset has, what its split keeps together, and its labels.

    `whole` is the same dataset with all labels, `labels` how many of each class it has, or None.
    """
    labels = entries.labels(config, dataset)
    whole = dataset.removesuffix(f"-{labels}-labels") if labels else dataset
    by = config["datasets"][dataset]["split"]["by"]
    return {"of": entries.base(config, dataset), "by": by, "whole": whole, "labels": labels}
