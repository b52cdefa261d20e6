"""Simulate a reader who is asked for a study's labels in several orders."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.analyses import active_figures, active_learning, outputs

    given = snakemake.params
    table = active_learning.tabulate(given.worlds, given.settings, given.seeds, given.metric)
    names = snakemake.wildcards.study, given.synthetic
    outputs.write(table, active_figures.curves, *names, snakemake.output)
