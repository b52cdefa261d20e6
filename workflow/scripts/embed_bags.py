from histopair.jobs import job

with job(snakemake) as about:
    from histopair.retrieval import mean_patches

    mean_patches.embed(snakemake.input.labels, snakemake.input.features, snakemake.output[0], about)
