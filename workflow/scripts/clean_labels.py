"""Clean the labels of one dataset: read, check images, standardise, split, audit."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.datasets.labels import clean

    entry, name = snakemake.params.entry, snakemake.wildcards.dataset
    clean(entry, name, *snakemake.output, about, f"results/.shards/{snakemake.output[0]}")
