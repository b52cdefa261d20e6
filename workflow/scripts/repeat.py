"""Repeat a study many times, and judge its claims each time."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.analyses import repetitions
    from histopair.files import tables
    from histopair.jobs import devices
    from histopair.training import checkpoint

    params, out = snakemake.params, snakemake.output[0]
    one = {key: value for key, value in about["params"].items() if key != "times"}
    of_each = about | {"params": one}
    kept = checkpoint.folder(f"results/.resume/{out}", of_each, snakemake.input)
    table = repetitions.tabulate(params.runs, params.study, params.times, kept, devices.start())
    tables.write(out, table, about)
