from histopair.jobs import job

with job(snakemake) as about:
    from histopair.encoders import embed
    from histopair.jobs.share import share_of

    share = share_of(snakemake)
    embed.embed_texts(
        snakemake.input.labels,
        ["sample_id"],
        "caption",
        snakemake.params.encoder,
        snakemake.params.embedding,
        f"results/.shards/{share.out}",
        share.out,
        about,
        share,
    )
