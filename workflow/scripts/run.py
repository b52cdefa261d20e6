from histopair.jobs import job

with job(snakemake) as about:
    from histopair import devices, runs

    seed = int(snakemake.wildcards.seed)
    folder = snakemake.output.weights.rsplit("/", 1)[0]
    run = runs.Run(
        artifacts={key: value for key, value in snakemake.input.items() if key != "encoders"},
        root=snakemake.params.root,
        encoder_entry=snakemake.params.encoder,
        retriever_entry=snakemake.params.retriever,
        method=snakemake.params.method,
        seed=seed,
        device=devices.start(),
        image_cache_mb=snakemake.resources.mem_mb // 2,
        text_encoder_entry=snakemake.params.text_encoder,
    )
    out = {name: snakemake.output[name] for name in ("weights", "history", "predictions")}
    runs.execute(run, f"results/.resume/{folder}", out, about)
