from histopair.jobs import job

with job(snakemake) as about:
    from histopair.survival import bags

    bags.pool(snakemake.input.patients, snakemake.input.features, snakemake.output[0], about)
