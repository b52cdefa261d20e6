from histopair.jobs import job

with job(snakemake) as about:
    from histopair.jobs import devices
    from histopair.training import checkpoint, pretrain

    params, given = snakemake.params, snakemake.input
    run = pretrain.Pretraining(
        artifacts={"labels": given.labels, "reports": list(given.reports)},
        root=params.root,
        method=params.train,
        seed=params.train["seed"],
        device=devices.start(),
        image_cache_mb=snakemake.resources.mem_mb // 2,
        towers=params.towers,
    )
    out = snakemake.output[0]
    resume = checkpoint.folder(f"results/.resume/{out}", about, given)
    pretrain.execute(run, resume, out, about)
