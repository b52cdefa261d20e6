"""The marks of the parts of long jobs, for which the joining job waits; they decide no result."""

from histopair.jobs.share import FOLDER
from histopair.plan import entries
from histopair.plan.places import ACTIVATIONS, EMBEDDINGS, PAIRS


def images(config, w):
    return embeddings(config, w, "images")


def captions(config, w):
    return embeddings(config, w, "captions")


def embeddings(config, w, kind):
    out = EMBEDDINGS.format(encoder=w.encoder, dataset=w.dataset, kind=kind)
    return of(config, w.dataset, out)


def activations(config, w):
    """None if activations are not kept: then no job computes any."""
    kept = config["activations"]["cache"]
    return of(config, w.dataset, ACTIVATIONS.format(**vars(w))) if kept else []


def pairs(config, w):
    """None for a correction: it looks at the similarities of all train images to all reports."""
    out = f"{PAIRS}.parquet".format(**vars(w))
    return of(config, w.dataset, out) if not w.correction else []


def of(config, dataset, out):
    """The marks of the parts of `out`; none where one job does the whole work."""
    jobs = number(config, dataset)
    return [f"{FOLDER}/{out}/{part}-of-{jobs}" for part in range(1, jobs + 1)] if jobs > 1 else []


def number(config, dataset):
    """How many jobs share each long work on a dataset."""
    jobs = config["embedding"]["jobs"]
    return jobs if isinstance(jobs, int) else jobs.get(entries.base(config, dataset), 1)
