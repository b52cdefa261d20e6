"""Check that a dataset can judge the models of another one."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.datasets import other_data

    names = dict(snakemake.wildcards.items())
    inputs = snakemake.input
    other_data.check(inputs.labels, inputs.external, names, snakemake.output[0], about)
