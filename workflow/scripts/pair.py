from histopair.jobs import job

with job(snakemake) as about:
    from histopair import blas, retrieve

    blas.choose_kernel()
    retrieval = snakemake.params.retrieval
    retrieve.pair(
        snakemake.input.images,
        snakemake.input.texts,
        retrieval["k"],
        retrieval["pool"],
        snakemake.output[0],
        about,
    )
