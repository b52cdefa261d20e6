from histopair.jobs import job

with job(snakemake) as about:
    from histopair.phantom import synthetic

    synthetic.synthetic(
        snakemake.output.reports,
        snakemake.output.truth,
        snakemake.params.size,
        snakemake.params.seed,
        about,
    )
