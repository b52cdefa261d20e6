"""Tune a method's parameters on validation."""

from histopair.jobs import job

with job(snakemake) as about:
    from histopair.jobs import devices
    from histopair.training import checkpoint, one_run, trials

    params, entry = snakemake.params, snakemake.params.tuning
    kept = {key: entry[key] for key in sorted(entry) if key != "trials"}
    of_all = about | {"params": about["params"] | {"tuning": kept}}

    artifacts = {key: value for key, value in snakemake.input.items() if key != "encoders"}

    def make(method: dict, seed: int) -> one_run.Run:
        spec, cache_mb = params.run | {"method": method}, snakemake.resources.mem_mb // 2
        return one_run.Run.of(spec, artifacts, seed, devices.start(), cache_mb)

    trials.tune(
        make,
        entry,
        params.run["method"],
        checkpoint.folder(f"results/.resume/{snakemake.output[0]}", of_all, snakemake.input),
        snakemake.output[0],
        about,
    )
