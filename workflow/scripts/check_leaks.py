"""Look for leaks between the splits of one dataset."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.datasets import leaks

    leaks.write(snakemake.input[0], snakemake.output[0], about)
