"""What people see: figures, the page of each study, and the page."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent


def look() -> str:
    """Hash of the templates and the style, which no code fingerprint sees: they are not modules."""
    files = sorted([*HERE.glob("*.j2"), *HERE.glob("*.css")])
    content = b"\0".join(file.name.encode() + b"\0" + file.read_bytes() for file in files)
    return hashlib.sha256(content).hexdigest()[:16]


def distinct(runs: Iterable[dict]) -> list[dict]:
    """Each run once, even if several studies or columns show it: dataset, encoder, method, seed."""
    names = ("dataset", "encoder", "method", "seed")
    keys = dict.fromkeys(tuple(run[name] for name in names) for run in runs)
    return [dict(zip(names, key, strict=True)) for key in keys]


def different(methods: dict, study: dict) -> dict[str, dict]:
    """By dataset of a study, then by method, the parameters that are different on that dataset."""
    parameters = {
        dataset: {
            name: methods[name]["datasets"][dataset]
            for name in study["methods"]
            if methods[name].get("datasets", {}).get(dataset)
        }
        for dataset in study["datasets"]
    }
    return {dataset: by_method for dataset, by_method in parameters.items() if by_method}


def of_papers(entries: dict, datasets: list[str]) -> dict[str, dict]:
    """How many classes and samples papers had, for the datasets whose config entries say so."""
    bases = {name: entries[entries[name].get("of", name)] for name in datasets}
    return {name: entry["published"] for name, entry in bases.items() if "published" in entry}
