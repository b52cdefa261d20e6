"""What a study compares, and what its tables are made from."""

from histopair.plan import entries
from histopair.plan.places import LABELS, of_runs, there, truths
from histopair.report import different, of_papers

STUDY = ("title", "description", "metric", "reference", "order", "published", "claims")


def runs(config, w):
    """dataset, encoder, method, seed and column of each run."""
    return entries.runs(config, w.study)


def datasets(config, w):
    return list(dict.fromkeys(run["dataset"] for run in runs(config, w)))


def outputs(config, w, file):
    """A file of each run of a study, once for each column that shows it."""
    return of_runs(runs(config, w), file)


def labels(config, w):
    return [LABELS.format(dataset=dataset) for dataset in datasets(config, w)]


def paper(config, w):
    """The csv of the paper's figures, if the study names one."""
    path = config["studies"][w.study].get("published")
    return [there(path)] if path else []


def dataset_truths(config, w):
    """The truth tables of a study's datasets, which tell how many labels are wrong."""
    return truths(**{name: entries.dataset(config, name) for name in datasets(config, w)})


def truth_files(config, w):
    return list(dataset_truths(config, w).values())


def metric(config, w):
    return config["studies"][w.study]["metric"]


def synthetic(config, w):
    return [name for name in datasets(config, w) if entries.dataset(config, name)["synthetic"]]


def settings(config, w):
    """What of a study's entry decides its files, and how its datasets are split."""
    entry, named = config["studies"][w.study], datasets(config, w)
    kept = {name: entry[name] for name in STUDY if name in entry}
    splits = {name: split(config, name) for name in named}
    papers = of_papers(config["datasets"], named)
    kept |= {"papers_data": papers} if papers else {}
    changed = different(config["methods"], entry)
    kept |= {"different": changed} if changed else {}
    return kept | {"datasets": named, "splits": splits, "synthetic": synthetic(config, w)}


def split(config, dataset):
    """The dataset that a dataset's samples are of, and what its split keeps together."""
    by = config["datasets"][dataset]["split"]["by"]
    return {"of": entries.base(config, dataset), "by": by}
