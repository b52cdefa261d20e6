"""Write what a distilled run makes of its test images."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.analyses.representations import represent
    from histopair.jobs import devices
    from histopair.training import one_run

    given, seed = dict(snakemake.input.items()), int(snakemake.wildcards.seed)
    run = one_run.Run.of(snakemake.params.run, given, seed, devices.start())
    represent(run, given["weights"], given["predictions"], snakemake.output[0], about)
