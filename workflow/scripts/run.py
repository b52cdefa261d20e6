from histopair.jobs import job

with job(snakemake) as about:
    from histopair import devices
    from histopair.training import checkpoint, parallel, runs

    training, params = snakemake.config["training"], snakemake.params
    seed = int(snakemake.wildcards.seed)
    folder = snakemake.output.weights.rsplit("/", 1)[0]
    about["processes"] = processes = training["processes"]
    resume = checkpoint.folder(f"results/.resume/{folder}", about, snakemake.input)

    def work():
        run = runs.Run(
            artifacts={key: value for key, value in snakemake.input.items() if key != "encoders"},
            root=params.root,
            encoder_entry=params.encoder,
            retriever_entry=params.retriever,
            method=params.method,
            seed=seed,
            device=devices.start(),
            image_cache_mb=snakemake.resources.mem_mb // processes // 2,
            text_encoder_entry=params.text_encoder,
        )
        out = {name: snakemake.output[name] for name in ("weights", "history", "predictions")}
        events = folder.replace("/runs/", "/tensorboard/", 1) if training["tensorboard"] else ""
        runs.execute(run, resume, out, about, events)

    parallel.launch(work, processes)
