from histopair.jobs import job

with job(snakemake) as about:
    from histopair.phantom import formats

    formats.bach(
        snakemake.output.photos,
        snakemake.output.truth,
        snakemake.params.size,
        snakemake.params.seed,
        about,
    )
