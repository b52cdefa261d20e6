"""Plot a search and write its best parameters as an entry of `methods`."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.report import searches

    searches.write(snakemake.input[0], snakemake.wildcards.search, *snakemake.output)
