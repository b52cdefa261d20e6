"""Measure what each method of a study costs at inference."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.analyses import cost
    from histopair.files import tables
    from histopair.jobs import devices

    device = devices.start()
    costs = cost.measure([cost.restored(run) for run in snakemake.params.runs], device)
    tables.write(snakemake.output[0], costs, about)
