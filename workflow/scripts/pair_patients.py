from histopair.jobs import job

with job(snakemake) as about:
    from histopair.retrieval import blas, retrieve

    blas.choose_kernel()
    bags, texts = snakemake.input.bags, snakemake.input.texts
    retrieve.pair(bags, texts, snakemake.params.retrieval, snakemake.output[0], about)
