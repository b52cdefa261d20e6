"""The one page: everything that a run did and found, in one file that needs no network."""

import pandas as pd

from histopair.evaluation import study_tables
from histopair.files import tables
from histopair.pages import (
    corpora,
    datasets,
    different,
    distinct,
    encoder_table,
    multilabel,
    of_papers,
    pairings,
    provenance,
    study_page,
    timings,
    training,
)
from histopair.pages.templates import render


def write_page(config: dict, shown: dict, results: str, output: str, about: dict) -> None:
    """Write the page from the artifacts under `results`.

    config: the whole config, checked. shown: names of what is on the page: `datasets`, `corpora`,
    `chunks` (encoder, corpus), `encoders`, `proposals` (datasets), `embeddings` (encoder, dataset),
    `texts` (paths of what is kept of captions and prompts), `pairs` (see
    `entries.pairing_of`), and `runs` (for each study a list of dataset, encoder, method,
    seed). Where the time went is read from `results`/benchmarks.
    """
    tables.write_text(output, render("page.html.j2", **context(config, shown, results, about)))


def context(config: dict, shown: dict, results: str, about: dict) -> dict:
    """What the page's templates show, section by section."""
    names = config["datasets"]
    bases = {name: names[names[name].get("of", name)] for name in shown["datasets"]}
    shown_studies = [_study(name, config, results) for name in shown["runs"]]
    found = {
        "title": config.get("title") or "histopair",
        "studies": [study for study, _ in shown_studies],
        "multilabel": [block for _, block in shown_studies if block],
        "datasets": [
            datasets.context(
                name, names[name], bases[name], results, name in shown.get("proposals", ())
            )
            for name in shown["datasets"]
        ],
        "corpora": [
            corpora.context(name, config["corpora"][name], shown["chunks"], results)
            for name in shown["corpora"]
        ],
        "encoders": [
            encoder_table.context(name, config["encoders"][name], shown["embeddings"], results)
            for name in shown["encoders"]
        ],
        "texts": encoder_table.texts(shown["texts"], results),
        "pairing": pairings.context(shown["pairs"], results),
        "training": training.context(shown["runs"], results),
        "time": timings.context(f"{results}/benchmarks"),
        "provenance": provenance.context(config, shown, results, about),
    }
    found["synthetic"] = bool(found["datasets"]) and all(d["synthetic"] for d in found["datasets"])
    found["runs"] = len(distinct(run for runs in shown["runs"].values() for run in runs))
    return found


def _study(name: str, config: dict, results: str) -> tuple[dict, dict | None]:
    """A study as shown, and its multi-label block if it has one."""
    folder, entry = f"{results}/studies", config["studies"][name]
    entry = entry | {
        "papers_data": of_papers(config["datasets"], entry["datasets"]),
        "different": different(config["methods"], entry),
    }
    table = pd.read_csv(f"{folder}/{study_tables.file(name, 'table')}", dtype={"values": str})
    return study_page.read_study(name, entry, folder), multilabel.context(name, table, config)
