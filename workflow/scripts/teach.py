from histopair.jobs import job

with job(snakemake) as about:
    from histopair.export import teaching
    from histopair.jobs import devices
    from histopair.training import one_run

    files, seed = dict(snakemake.input.items()), int(snakemake.wildcards.seed)
    run = one_run.Run.of(snakemake.params.run, files, seed, devices.start())
    teaching.write(run, files["weights"], snakemake.output[0], about)
