"""Queue a dataset's samples for a reader, the most informative first, from finished runs.

    histopair make-queue crc/uni/lora crc/uni/clip-it --order disagreement --most 100

A run is DATASET/ENCODER/METHOD of results/runs, with all its seeds, or
EXTERNAL/DATASET/ENCODER/METHOD of results/external. Writes results/queues/DATASET.csv. Runs predict
val and test; those of a cross-validated dataset (`split: {folds: 5}`) predict every sample once.
"""

import argparse
import os
from pathlib import Path

import commands
from histopair import jobs
from histopair.errors import InputError


def main(words: list[str]) -> None:
    options = _options(words)
    jobs.limit_threads(os.cpu_count() or 1)  # before numpy loads
    from histopair.analyses import reading_queue
    from histopair.files import tables

    results = Path("results")
    runs = [run for name in options.runs for run in _seeds(results, name)]
    dataset = options.runs[0].split("/")[0]
    labels = results / "labels" / f"{dataset}.parquet"
    base, about = dataset, tables.about(labels)
    while base := about.get("params", {}).get("entry", {}).get("of"):
        dataset, about = base, tables.about(results / "labels" / f"{base}.parquet")
    encoder = options.runs[0].split("/")[-2]
    embeddings = results / "embeddings" / encoder / f"{dataset}.images.parquet"
    if options.order == "diversity" and not embeddings.is_file():
        raise InputError(embeddings, "there is no such file", f"snakemake --cores all {embeddings}")
    output = options.output or results / "queues" / f"{options.runs[0].split('/')[0]}.csv"
    shown = options.order, options.split, options.most
    count = reading_queue.write(runs, labels, embeddings, output, *shown)
    jobs.say(f"{output}: {count} samples by {options.order}, from {len(runs)} runs")


def _seeds(results: Path, name: str) -> list[Path]:
    """The finished seeds of a method; InputError if there is none."""
    parts = name.split("/")
    if len(parts) not in (3, 4) or not all(parts) or ".." in parts:
        problem = f"{name!r} is not DATASET/ENCODER/METHOD"
        raise InputError("make-queue", problem, "Name a folder of results/runs")
    place = results.joinpath("runs" if len(parts) == 3 else "external", *parts)
    files = place.glob("*/metrics.json")
    seeds = sorted(file.parent for file in files if (file.parent / "predictions.parquet").is_file())
    if not seeds:
        raise InputError(place, "it has no finished and scored run", "Run a study that has it")
    return seeds


def _options(words: list[str]) -> argparse.Namespace:
    parser = commands.parser("make-queue", __doc__)
    parser.add_argument("runs", nargs="+", help="runs that predict the same samples")
    orders = ("uncertainty", "disagreement", "diversity")
    parser.add_argument("--order", choices=orders, default=orders[0], help="default uncertainty")
    parser.add_argument("--split", action="append", choices=("val", "test"), help="only this one")
    parser.add_argument("--most", type=int, default=200, help="samples of the queue (default 200)")
    parser.add_argument("--output", type=Path, help="default results/queues/DATASET.csv")
    options = parser.parse_args(words)
    if options.most < 1:
        parser.error("--most starts at 1")
    return options
