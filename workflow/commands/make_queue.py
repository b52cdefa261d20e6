"""Queue a dataset's samples for a reader, the most informative first, from finished runs.

    histopair make-queue crc/uni/lora crc/uni/clip-it --order disagreement --most 100
    histopair make-queue results/exports/crc/uni/lora/0 --pool data/crc

A run is DATASET/ENCODER/METHOD of results/runs, with all its seeds, or
EXTERNAL/DATASET/ENCODER/METHOD of results/external. Writes results/queues/DATASET.csv. Runs predict
val and test; those of a cross-validated dataset (`split: {folds: 5}`) predict every sample once.
With --pool, exported runs predict the images of a folder that have no label in the dataset.
"""

import argparse
import os
import sys
from pathlib import Path

import commands
from histopair import jobs
from histopair.errors import InputError

RESULTS = Path("results")


def main(words: list[str]) -> None:
    options = _options(words)
    jobs.limit_threads(os.cpu_count() or 1)  # before numpy loads
    (_of_pool if options.pool else _of_runs)(options)


def _of_runs(options: argparse.Namespace) -> None:
    from histopair.analyses import reading_queue
    from histopair.files import tables

    runs = [run for name in options.runs for run in _seeds(name)]
    dataset = options.runs[0].split("/")[0]
    output, labels = options.output or _queue(dataset), _labels(dataset)
    base, about = dataset, tables.about(labels)
    while base := about.get("params", {}).get("entry", {}).get("of"):
        dataset, about = base, tables.about(_labels(base))
    encoder = options.runs[0].split("/")[-2]
    embeddings = RESULTS / "embeddings" / encoder / f"{dataset}.images.parquet"
    if options.order == "diversity" and not embeddings.is_file():
        raise InputError(embeddings, "there is no such file", f"snakemake --cores all {embeddings}")
    shown = options.order, options.split, options.most
    count = reading_queue.write(runs, labels, embeddings, output, *shown)
    jobs.say(f"{output}: {count} samples by {options.order}, from {len(runs)} runs")


def _of_pool(options: argparse.Namespace) -> None:
    from histopair.analyses import pool_queue
    from histopair.export import read

    models = [read.load(folder) for folder in options.runs]
    dataset = models[0].config["run"]["dataset"]
    output, labels = options.output or _queue(dataset), _labels(dataset)
    shown = options.order, options.most
    count, unread = pool_queue.write(models, options.pool, labels, output, *shown)
    for line in unread:
        jobs.say(f"make-queue: {line}", stream=sys.stderr)
    jobs.say(f"{output}: {count} unlabelled images by {options.order}, from {len(models)} exports")


def _queue(dataset: str) -> Path:
    return RESULTS / "queues" / f"{dataset}.csv"


def _labels(dataset: str) -> Path:
    return RESULTS / "labels" / f"{dataset}.parquet"


def _seeds(name: str) -> list[Path]:
    """The finished seeds of a method; InputError if there is none."""
    parts = name.split("/")
    if len(parts) not in (3, 4) or not all(parts) or ".." in parts:
        problem = f"{name!r} is not DATASET/ENCODER/METHOD"
        raise InputError("make-queue", problem, "Name a folder of results/runs")
    place = RESULTS.joinpath("runs" if len(parts) == 3 else "external", *parts)
    files = place.glob("*/metrics.json")
    seeds = sorted(file.parent for file in files if (file.parent / "predictions.parquet").is_file())
    if not seeds:
        raise InputError(place, "it has no finished and scored run", "Run a study that has it")
    for seed in seeds:
        if _changed(seed / "metrics.json") < _changed(seed / "predictions.parquet"):
            problem = "its predictions are newer than its metrics.json"
            raise InputError(seed, problem, "Run a study that has it: it scores them")
    return seeds


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns


def _options(words: list[str]) -> argparse.Namespace:
    parser = commands.parser("make-queue", __doc__)
    help_ = "runs that predict the same samples; with --pool, exported folders"
    parser.add_argument("runs", nargs="+", help=help_)
    orders = ("uncertainty", "disagreement", "diversity")
    parser.add_argument("--order", choices=orders, default=orders[0], help="default uncertainty")
    parser.add_argument("--split", action="append", choices=("val", "test"), help="only this one")
    help_ = "queue the images below it that have no label in the dataset"
    parser.add_argument("--pool", type=Path, metavar="FOLDER", help=help_)
    parser.add_argument("--most", type=int, default=200, help="samples of the queue (default 200)")
    parser.add_argument("--output", type=Path, help="default results/queues/DATASET.csv")
    options = parser.parse_args(words)
    if options.most < 1:
        parser.error("--most starts at 1")
    if options.pool and options.split:
        parser.error("images without a label are in no split: leave out --split")
    return options
