from histopair.jobs import job

with job(snakemake) as about:
    from histopair.jobs.share import share_of
    from histopair.retrieval import blas, in_parts, retrieve

    blas.choose_kernel()
    share = share_of(snakemake)
    files = snakemake.input.images, snakemake.input.texts, snakemake.params.retrieval
    gpu = snakemake.params.gpu
    if share.alone:
        retrieve.pair(
            *files,
            share.out,
            about,
            corrected=snakemake.wildcards.correction.lstrip("."),
            labels=snakemake.input.get("labels"),
            gpu=gpu,
        )
    else:
        in_parts.pair(*files, f"results/.shards/{share.out}", about, gpu, share)
