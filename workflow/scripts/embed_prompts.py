from histopair.jobs import job

with job(snakemake) as about:
    from histopair.encoders import embed, prompts

    embed.embed_texts(
        prompts.of_classes(snakemake.input.labels, snakemake.params.templates),
        ["label", "template"],
        "prompt",
        snakemake.params.encoder,
        snakemake.params.embedding,
        f"results/.shards/{snakemake.output[0]}",
        snakemake.output[0],
        about,
    )
