"""Write what a distilled run makes of its test images."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.analyses.representations import represent
    from histopair.jobs import devices
    from histopair.training import runs

    given, seed = dict(snakemake.input.items()), int(snakemake.wildcards.seed)
    run = runs.Run.of(snakemake.params.run, given, seed, devices.start())
    represent(run, given["weights"], given["predictions"], snakemake.output[0], about)
