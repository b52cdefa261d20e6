"""What a study compares, and what its tables are made from."""

from histopair.pages import different, of_papers
from histopair.plan import entries, recipes
from histopair.plan.places import (
    EMBEDDINGS,
    GATE,
    LABELS,
    PAIRS,
    RUN,
    SCORES,
    of_runs,
    there,
    truths,
)

STUDY = ("title", "description", "metric", "reference", "order", "published", "claims")


def runs(config, w):
    """dataset, encoder, method, seed and column of each run."""
    return entries.runs(config, w.study)


def models(config, w):
    """The same without seeds."""
    return entries.models(config, w.study)


def judged(config, w):
    """The same, each with `probes`, methods of its cell that it is held against, and its `gate`.

    Probes are at their optimum and read no more than the run does. A run that is at its optimum
    itself has none.
    """
    probes, facts = {}, {}
    for model in models(config, w):
        if recipes.at_optimum(entries.of_run(config, model)):
            cell = probes.setdefault((model["dataset"], model["column"]), {})
            cell[model["method"]] = _inputs(config, model)
    for model in models(config, w):
        against = {"probes": _held_against(config, model, probes)}
        facts[_key(model)] = against | {"gate": gate_of(config, w, model)}
    return [run | facts[_key(run)] for run in runs(config, w)]


def _key(model):
    return model["dataset"], model["column"], model["method"]


def _held_against(config, model, probes):
    cell = probes.get((model["dataset"], model["column"]), {})
    if model["method"] in cell:
        return []
    read = _inputs(config, model)
    return [method for method, inputs in cell.items() if inputs <= read]


def _inputs(config, model):
    """What a model reads, each with its encoder."""
    method, own = entries.of_run(config, model), model["encoder"]
    encoders = {"image": own, "caption": method.get("text_encoder") or own}
    return {(kind, encoders[kind]) for kind in recipes.reads(method)}


def datasets(config, w):
    return list(dict.fromkeys(model["dataset"] for model in models(config, w)))


def outputs(config, w, file):
    """A file of each run of a study, once for each column that shows it."""
    return of_runs(runs(config, w), file)


def of_seeds(config, w, file, place=RUN):
    """A file of the run of each seed that a study asks of a method on a dataset."""
    seeds = entries.seeds(config, w.study, w.dataset, w.method)
    return [f"{place}/{file}".format(**vars(w) | {"seed": seed}) for seed in seeds]


def scores(config, w):
    """What says that the runs of a study are scored, a file for all seeds of a method."""
    return list(dict.fromkeys(SCORES.format(study=w.study, **of) for of in models(config, w)))


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
    """The synthetic ones of a study's datasets, and of those that few labels are drawn from."""
    wholes = [split(config, name)["whole"] for name in datasets(config, w)]
    names = dict.fromkeys([*datasets(config, w), *wholes])
    return [name for name in names if entries.dataset(config, name)["synthetic"]]


def gates(config, w):
    """Files that say whether a study's worlds can tell anything about text, by retriever."""
    paths = [gate_of(config, w, model) for model in models(config, w)]
    return [path for path in dict.fromkeys(paths) if path]


def gate_of(config, w, model):
    """The gate of a model's world; None without a retriever, and in a study without gates."""
    method = entries.of_run(config, model)
    if not (config["studies"][w.study]["gate"] and method.get("retriever")):
        return None
    return GATE.format(
        encoder=model["encoder"],
        retriever=method["retriever"],
        dataset=split(config, model["dataset"])["whole"],
        corpus=entries.corpus_of(config, model["dataset"], method),
    )


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
    by = config["datasets"][dataset]["split"]["by"]
    whole, labels = entries.whole(config, dataset), entries.labels(config, dataset)
    return {"of": entries.base(config, dataset), "by": by, "whole": whole, "labels": labels}
