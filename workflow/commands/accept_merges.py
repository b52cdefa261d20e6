"""Add the merges that were accepted in a table of proposals to a label mapping.

    histopair accept-merges results/labels/quilt.proposals.csv config/labels/quilt.csv

Write yes or no into the column `accept` first. Rows without an answer stay undecided.
"""

import commands
from histopair import jobs
from histopair.datasets import merges


def main(words: list[str]) -> None:
    parser = commands.parser("accept-merges", __doc__)
    parser.add_argument("proposals", help="results/labels/DATASET.proposals.csv, answered")
    parser.add_argument("mapping", help="the dataset's labels_map; created if it does not exist")
    options = parser.parse_args(words)
    jobs.say(merges.accept(options.proposals, options.mapping))
