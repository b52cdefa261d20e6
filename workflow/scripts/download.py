"""Fetch the files of one public source, verify and unpack them."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from pathlib import Path

    from histopair.datasets.downloads import download

    download(snakemake.wildcards.source, snakemake.params.source, Path(snakemake.output[0]))
