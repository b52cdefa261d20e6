from histopair.jobs import job

with job(snakemake) as about:
    from histopair.encoders import embed
    from histopair.files import tables
    from histopair.jobs.share import share_of

    share = share_of(snakemake)
    speed = embed.embed_images(
        snakemake.input.labels,
        snakemake.params.root,
        snakemake.params.encoder,
        snakemake.params.embedding,
        f"results/.shards/{share.out}",
        share.out,
        about,
        share,
    )
    # Beside Snakemake's own measurements, which differ from run to run as it does.
    if speed and share.alone:
        names = snakemake.wildcards
        folder = f"results/benchmarks/embed_images/{names.encoder}"
        tables.write_json(f"{folder}/{names.dataset}.speed.json", speed)
