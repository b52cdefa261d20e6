"""The page: everything that a run did and found, in one file that needs no network."""

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
    `texts` (paths of embedded captions and prompts), `pairs` (see `entries.pairing_of`), and
    `runs` (for each study a list of dataset, encoder, method, seed). Times are read from
    `results`/benchmarks.
    """
    tables.write_text(output, render("page.html.j2", **context(config, shown, results, about)))


def context(config: dict, shown: dict, results: str, about: dict) -> dict:
    """What the page's templates show, section by section."""
    names = config["datasets"]
    bases = {name: names[names[name].get("of", name)] for name in shown["datasets"]}
    proposals = shown.get("proposals", ())
    studies = [_study(name, config, results) for name in shown["runs"]]
    shown_datasets = [
        datasets.context(name, names[name], base, results, name in proposals)
        for name, base in bases.items()
    ]
    return {
        "title": config.get("title") or "histopair",
        "synthetic": bool(bases) and all(data["synthetic"] for data in shown_datasets),
        "runs": len(distinct(run for runs in shown["runs"].values() for run in runs)),
        "studies": [study for study, _ in studies],
        "multilabel": [block for _, block in studies if block],
        "datasets": shown_datasets,
        "counts": _counts(shown_datasets),
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


def _counts(shown_datasets: list[dict]) -> dict[str, int]:
    """Datasets and their images; several splits of one are one dataset."""
    images = {data["of"] or data["name"]: data["images"] for data in shown_datasets}
    return {"datasets": len(images), "images": sum(images.values())}


def _study(name: str, config: dict, results: str) -> tuple[dict, dict | None]:
    """A study as shown, and its multi-label block if it has one."""
    folder, entry = f"{results}/studies", config["studies"][name]
    entry = entry | {
        "papers_data": of_papers(config["datasets"], entry["datasets"]),
        "different": different(config["methods"], entry),
    }
    labels = {dataset: f"{results}/labels/{dataset}.parquet" for dataset in entry["datasets"]}
    study = study_page.read_study(name, entry, labels, folder)
    table = study_page.read_table(f"{folder}/{study_tables.file(name, 'table')}")
    return study, multilabel.context(name, table, config)
