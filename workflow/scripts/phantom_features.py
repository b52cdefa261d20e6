from histopair.jobs import job

with job(snakemake):
    from histopair.phantom import cohort

    cohort.write_features(
        snakemake.input.embeddings,
        snakemake.input.labels,
        snakemake.wildcards.layout,
        snakemake.output[0],
    )
