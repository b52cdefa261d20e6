"""Where artifacts lie, and whether the files that the config names exist."""

import os
from collections.abc import Iterable
from pathlib import Path

from histopair import errors
from histopair.datasets import sources
from histopair.errors import InputError

RESULTS = "results"
LABELS = "results/labels/{dataset}.parquet"
REPORTS = "results/reports/{corpus}.parquet"
CHUNKS = "results/chunks/{encoder}/{corpus}.parquet"
ENCODER = "results/encoders/{encoder}"
EMBEDDINGS = "results/embeddings/{encoder}/{dataset}.{kind}.parquet"
TEXTS = "results/embeddings/{encoder}/{corpus}.texts.parquet"
ACTIVATIONS = "results/activations/{encoder}/{dataset}.{kind}.{blocks}"
PAIRS = "results/pairs/{encoder}/{dataset}.{corpus}{correction}"
GATE = "results/gates/{encoder}/{retriever}/{dataset}.{corpus}.json"
RUN = "results/runs/{dataset}/{encoder}/{method}/{seed}"
EXTERNAL = "results/external/{external}/{dataset}/{encoder}/{method}/{seed}"
SCORES = "results/scores/{study}/{dataset}/{encoder}/{method}.json"
EXTERNAL_SCORES = "results/scores/{study}/{external}/{dataset}/{encoder}/{method}.json"
EXTERNAL_LEAKS = "results/external/{external}/{dataset}.leaks.parquet"
LOGITS = f"{RUN}/logits.parquet"
WEIGHTS = "results/weights/{encoder}.json"
DISTILLED = "results/distilled/{dataset}/{encoder}/{method}/{seed}"


def there(path: str) -> str:
    """A path of the config, normalised; InputError unless it exists or is made here."""
    path = os.path.normpath(path)
    try:
        os.stat(path)
    except FileNotFoundError as error:
        if not made_here(path):
            problem, source = "there is no such file or folder", sources.of_path(path)
            remedy = "Correct the path in the config"
            if source:
                remedy = f"`histopair data {source}` says how to fetch it. {remedy}"
            raise InputError(path, problem, remedy) from error
    except OSError as error:
        raise errors.of_system(path, error) from error
    return path


def made_here(path: str) -> bool:
    """Whether the workflow makes a file or folder itself, as it does the phantom."""
    return Path(os.path.normpath(path)).parts[:1] == (RESULTS,)


def of_runs(runs: Iterable[dict], file: str) -> list[str]:
    """A file of each of some runs (dataset, encoder, method, seed)."""
    return [f"{RUN}/{file}".format(**run) for run in runs]


def truths(**entries: dict) -> dict[str, str]:
    """The truth tables of those entries that have one, by the same names."""
    return {name: there(entry["truth"]) for name, entry in entries.items() if "truth" in entry}


def pattern(names: Iterable[str]) -> str:
    """A wildcard's pattern for these names; without names, one that matches nothing."""
    return "|".join(names) or "(?!)"
