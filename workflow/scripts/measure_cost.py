"""Measure what each method of a study costs at inference."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair import devices, tables
    from histopair.analyses import cost

    device = devices.start()
    costs = cost.measure([cost.restored(run) for run in snakemake.params.runs], device)
    tables.write(snakemake.output[0], costs, about)
