"""Which finished runs are scored on which other datasets, and what that reads."""

from types import SimpleNamespace

from histopair.plan import encoders, entries, exports, runs
from histopair.plan.places import EMBEDDINGS, EXTERNAL, EXTERNAL_LEAKS, EXTERNAL_SCORES, LABELS

# Needs of a method whose model cannot start from cached embeddings.
NOT_FROZEN = {"images", "image_activations", "caption_activations"}


def names(config):
    """Datasets that studies evaluate on."""
    studies = config["studies"].values()
    return list(dict.fromkeys(name for study in studies for name in study.get("evaluate_on", ())))


def is_other(config, dataset, external):
    """Whether two datasets have different samples; a resplit has those of its base."""
    return entries.base(config, dataset) != entries.base(config, external)


def evaluated(config, w):
    """The runs of a study, each with the `external` dataset that it is scored on."""
    return [
        run | {"external": name}
        for name in config["studies"][w.study].get("evaluate_on", ())
        for run in entries.runs(config, w.study)
        if is_other(config, run["dataset"], name)
    ]


def files(config, w, file):
    """A file of each of them."""
    return [f"{EXTERNAL}/{file}".format(**run) for run in evaluated(config, w)]


def scores(config, w):
    """What says that they are scored, a file for all seeds of a method."""
    paths = (EXTERNAL_SCORES.format(study=w.study, **run) for run in evaluated(config, w))
    return list(dict.fromkeys(paths))


def leaks(config, w):
    """What each external dataset shares with each dataset that a study trains on."""
    return list(dict.fromkeys(EXTERNAL_LEAKS.format(**run) for run in evaluated(config, w)))


def datasets(config, w):
    return config["studies"][w.study].get("evaluate_on", [])


def labels(config, w):
    return [LABELS.format(dataset=name) for name in datasets(config, w)]


def artifacts(config, w):
    """What rebuilds a run's model; with `outside_` before the name, what it reads of the other."""
    outside = {"labels": LABELS.format(dataset=w.external)} | _cached(config, w, w.external)
    return {
        **exports.artifacts(config, w),
        **_cached(config, w, w.dataset),
        **{f"outside_{name}": path for name, path in outside.items()},
    }


def root(config, w):
    """The folder of the external dataset's images."""
    return encoders.root(config, SimpleNamespace(dataset=w.external))


def _cached(config, w, dataset):
    """The embeddings of a dataset that a method with frozen towers reads."""
    needs = set(runs.needs(config, w))
    if needs & NOT_FROZEN:
        return {}
    towers = {"image": w.encoder, "caption": runs.text_encoder(config, w)}
    base = entries.base(config, dataset)
    return {
        f"{kind}_embeddings": EMBEDDINGS.format(encoder=encoder, dataset=base, kind=f"{kind}s")
        for kind, encoder in towers.items()
        if f"{kind}_embeddings" in needs
    }
