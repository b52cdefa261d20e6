from histopair.jobs import job

with job(snakemake) as about:
    from histopair.jobs import devices
    from histopair.training import checkpoint, pretrain

    params = snakemake.params
    device = devices.start(params.train["seed"])
    world = pretrain.World(
        settings=params.train,
        labels=snakemake.input.labels,
        root=params.root,
        reports=list(snakemake.input.reports),
        towers=params.towers,
        seed=params.train["seed"],
        device=device,
        image_cache_mb=snakemake.resources.mem_mb // 2,
    )
    out = snakemake.output[0]
    resume = checkpoint.folder(f"results/.resume/{out}", about, snakemake.input)
    pretrain.execute(world, resume, out, about)
