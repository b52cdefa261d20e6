from histopair.jobs import job

with job(snakemake) as about:
    from histopair.phantom import formats

    formats.nct_crc(
        snakemake.output.train,
        snakemake.output.test,
        snakemake.output.truth,
        snakemake.params.size,
        snakemake.params.seed,
        about,
    )
