from histopair.jobs import job

with job(snakemake) as about:
    from histopair.jobs import parts
    from histopair.retrieval import blas, in_parts, retrieve

    blas.choose_kernel()
    share = parts.share(snakemake)
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
