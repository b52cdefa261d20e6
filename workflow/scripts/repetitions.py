"""Repeat a study many times, and judge its claims each time."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.analyses import outputs, repetition_figures, repetitions
    from histopair.jobs import devices
    from histopair.training import checkpoint

    params, study = snakemake.params, snakemake.wildcards.study
    kept = checkpoint.folder(f"results/.resume/repetitions/{study}", about, snakemake.input)
    table = repetitions.tabulate(params.runs, params.study, params.times, kept, devices.start())
    names = study, params.synthetic
    outputs.write(table, repetition_figures.intervals, *names, snakemake.output)
