"""Show the verdicts of a study's repetitions."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.analyses import outputs, repetition_figures
    from histopair.files import tables

    table = tables.read(snakemake.input[0])
    names = snakemake.wildcards.study, snakemake.params.synthetic
    outputs.write(table, repetition_figures.intervals, *names, snakemake.output)
