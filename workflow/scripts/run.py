from histopair.jobs import job

with job(snakemake) as about:
    from histopair.jobs import devices
    from histopair.training import checkpoint, one_run, processes

    training, params = snakemake.config["training"], snakemake.params
    seed = int(snakemake.wildcards.seed)
    artifacts = {key: value for key, value in snakemake.input.items() if key != "encoders"}
    folder = snakemake.output.weights.rsplit("/", 1)[0]
    about["processes"] = count = training["processes"]
    resume = checkpoint.folder(f"results/.resume/{folder}", about, snakemake.input)

    def work():
        cache_mb = snakemake.resources.mem_mb // count // 2
        run = one_run.Run.of(params.run, artifacts, seed, devices.start(), cache_mb)
        out = {name: snakemake.output[name] for name in ("weights", "history", "predictions")}
        events = folder.replace("/runs/", "/tensorboard/", 1) if training["tensorboard"] else ""
        one_run.execute(run, resume, out, about, events)

    processes.launch(work, count, snakemake.resources.get("mpi", ""))
