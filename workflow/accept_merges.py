"""Add the merges that were accepted in a table of proposals to a label mapping.

    python workflow/accept_merges.py results/labels/quilt.proposals.csv config/labels/quilt.csv

Write yes or no into the column `accept` first. Rows without an answer stay undecided.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "scripts"))

from histopair import jobs
from histopair.datasets import merges
from histopair.errors import InputError


def main() -> None:
    """Read both paths from the command line; exit with one line where the input is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("proposals", help="results/labels/DATASET.proposals.csv, answered")
    parser.add_argument("mapping", help="the dataset's labels_map; made where there is none")
    arguments = parser.parse_args()
    try:
        jobs.say(merges.accept(arguments.proposals, arguments.mapping))
    except InputError as error:
        sys.exit(f"histopair: {error}")


if __name__ == "__main__":
    main()
