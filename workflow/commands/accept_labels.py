"""Turn readers' answers into amendments of a dataset's labels, which its config names.

    histopair accept-labels answers.csv --dataset crc
    histopair accept-labels answers.csv more.csv --dataset crc --agree 2

Writes config/labels/crc.amendments.csv; the labels as published stay as they are. Answers that are
not applied are named, and the exit status is 1.
"""

import argparse
import sys
from pathlib import Path

import commands
from histopair import jobs
from histopair.datasets import consensus
from histopair.errors import InputError


def main(words: list[str]) -> int:
    options = _options(words)
    labels = options.labels or f"results/labels/{options.dataset}.parquet"
    if not Path(labels).is_file():
        problem = f"the labels of {options.dataset} are not here"
        raise InputError(labels, problem, f"Make them: snakemake --cores all {labels}")
    output = options.output or f"config/labels/{options.dataset}.amendments.csv"
    rule = consensus.Rule(options.by, options.agree)
    summary, left = consensus.accept(options.answers, labels, output, rule)
    for line in left:
        jobs.say(f"accept-labels: {line}", stream=sys.stderr)
    jobs.say(summary)
    jobs.say(f"In the config: datasets.{options.dataset}.amendments: {output}")
    return 1 if left else 0


def _options(words: list[str]) -> argparse.Namespace:
    parser = commands.parser("accept-labels", __doc__)
    parser.add_argument(
        "answers", nargs="+", help="csv files that the page of histopair serve wrote"
    )
    parser.add_argument("--dataset", required=True, help="name of a dataset in the config")
    parser.add_argument(
        "--by", action="append", metavar="NAME", help="count this reader; repeatable"
    )
    parser.add_argument(
        "--agree", type=int, default=1, metavar="N", help="apply what N readers say (default 1)"
    )
    parser.add_argument("--labels", help="default results/labels/DATASET.parquet")
    parser.add_argument("--output", help="default config/labels/DATASET.amendments.csv")
    options = parser.parse_args(words)
    if options.agree < 1:
        parser.error("--agree starts at 1")
    return options
