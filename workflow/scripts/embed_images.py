from histopair.jobs import job

with job(snakemake) as about:
    from histopair.encoders import embed

    embed.embed_images(
        snakemake.input.labels,
        snakemake.params.root,
        snakemake.params.encoder,
        snakemake.params.embedding,
        f"results/.shards/{snakemake.output[0]}",
        snakemake.output[0],
        about,
    )
