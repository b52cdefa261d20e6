"""Split the samples of another dataset anew."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.datasets.resplit import resplit

    entry, name = snakemake.params.entry, snakemake.wildcards.dataset
    resplit(*snakemake.input, entry, name, *snakemake.output, about)
