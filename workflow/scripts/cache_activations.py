from histopair.jobs import job

with job(snakemake) as about:
    from histopair.encoders.activations import cache as activation_cache
    from histopair.jobs.share import share_of

    share = share_of(snakemake)
    blocks, _, turns = snakemake.wildcards.blocks.partition("x")
    activation_cache.make(
        snakemake.wildcards.kind,
        snakemake.input.labels,
        snakemake.params.root,
        snakemake.params.encoder,
        int(blocks),
        int(turns or 1),
        snakemake.params.activations,
        f"results/.shards/{share.out}",
        share.out,
        about,
        share,
    )
