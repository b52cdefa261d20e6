"""Predict the test split of another dataset with a finished run."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    import torch

    from histopair.export import elsewhere
    from histopair.jobs import devices
    from histopair.training import one_run

    files, params, prefix = dict(snakemake.input.items()), snakemake.params, "outside_"
    outside = {k.removeprefix(prefix): v for k, v in files.items() if k.startswith(prefix)}
    seed = int(snakemake.wildcards.seed)
    # Models are rebuilt on the CPU, as for an export, and then moved.
    run = one_run.Run.of(params.run, files, seed, torch.device("cpu"))
    there = one_run.Run.of(params.run | {"root": params.root}, outside, seed, devices.start())
    elsewhere.predict(run, there, files, snakemake.output[0], about)
