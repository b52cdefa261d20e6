"""Rank the findings of a histology image with a model that the workflow exported.

    histopair predict EXPORT --image tile.png [--note "what was said of it"]
    histopair predict EXPORT --folder tiles [--notes notes.csv] [--csv findings.csv]

Needs no Snakemake and no network. `--help` lists the rest.
"""

import os

from histopair import jobs
from histopair.jobs import allocator


def main(words: list[str]) -> int:
    jobs.limit_threads(os.cpu_count() or 1)  # before numpy loads
    allocator.keep_freed_memory()
    from histopair.export import predict

    return predict.main(words)
