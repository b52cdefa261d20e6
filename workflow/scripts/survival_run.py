from histopair.jobs import job

with job(snakemake) as about:
    from histopair.files import tables
    from histopair.jobs import devices
    from histopair.survival import training

    method, entry = snakemake.params.method, snakemake.params.entry
    seed = int(snakemake.wildcards.seed)
    given = snakemake.input
    patients = tables.read(given.patients)
    run = training.Run(
        patients,
        training.read_bags(patients, given.features, entry.get("max_patches")),
        training.paired_texts(patients, method, seed, given.get("texts"), given.get("pairs")),
        method,
        entry,
        seed,
        devices.start(seed),
    )
    resume = "results/.resume/" + snakemake.output.weights.rsplit("/", 1)[0]
    out = {name: snakemake.output[name] for name in ("weights", "history", "predictions")}
    training.execute(run, resume, out, about)
