from histopair.jobs import job

with job(snakemake) as about:
    from histopair.encoders import embed

    embed.embed_texts(
        snakemake.input.chunks,
        ["report_id", "chunk"],
        "text",
        snakemake.params.encoder,
        snakemake.params.embedding,
        f"results/.shards/{snakemake.output[0]}",
        snakemake.output[0],
        about,
    )
