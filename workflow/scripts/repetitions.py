"""Repeat a study many times, and judge its claims each time."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.analyses import outputs, repetition_figures, repetitions
    from histopair.jobs import devices

    params = snakemake.params
    table = repetitions.tabulate(params.runs, params.study, params.times, devices.start())
    names = snakemake.wildcards.study, params.synthetic
    outputs.write(table, repetition_figures.intervals, *names, snakemake.output)
