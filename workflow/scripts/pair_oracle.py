from histopair.jobs import job

with job(snakemake) as about:
    from histopair.phantom import oracle

    oracle.pair(
        snakemake.input.labels,
        snakemake.input.reports,
        snakemake.input.dataset_truth,
        snakemake.input.corpus_truth,
        snakemake.params.k,
        snakemake.output[0],
        about,
    )
