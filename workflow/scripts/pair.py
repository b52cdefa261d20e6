from histopair.jobs import job

with job(snakemake) as about:
    from histopair.retrieval import blas, retrieve

    blas.choose_kernel()
    retrieve.pair(
        snakemake.input.images,
        snakemake.input.texts,
        snakemake.params.retrieval,
        snakemake.output[0],
        about,
        corrected=snakemake.wildcards.correction.lstrip("."),
        labels=snakemake.input.get("labels"),
        gpu=snakemake.params.gpu,
    )
