"""Plot a tuning and write its best parameters as an entry of `methods`."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.pages import best_parameters

    best_parameters.write(snakemake.input[0], snakemake.wildcards.tuning, *snakemake.output)
