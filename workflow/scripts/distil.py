from histopair.jobs import job

with job(snakemake) as about:
    from histopair.jobs import devices
    from histopair.training import checkpoint, one_run, processes, unlabelled

    params, count = snakemake.params, snakemake.config["training"]["processes"]
    seed, artifacts = int(snakemake.wildcards.seed), dict(snakemake.input.items())
    del artifacts["encoders"]
    about["processes"] = count
    folder = snakemake.output.weights.rsplit("/", 1)[0]
    resume = checkpoint.folder(f"results/.resume/{folder}", about, snakemake.input)

    def work():
        cache_mb = snakemake.resources.mem_mb // count // 2
        run = one_run.Run.of(params.run, artifacts, seed, devices.start(), cache_mb)
        out = {name: snakemake.output[name] for name in ("weights", "history", "vectors")}
        unlabelled.execute(run, resume, out, about)

    processes.launch(work, count, snakemake.resources.get("mpi", ""))
