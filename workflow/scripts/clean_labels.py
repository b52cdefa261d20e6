"""Clean the labels of one dataset: read, check images, standardise, split, audit."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.labels import clean

    clean(snakemake.params.entry, snakemake.wildcards.dataset, *snakemake.output, about)
