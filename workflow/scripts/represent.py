"""Write what a distilled run makes of its test images."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair import devices
    from histopair.analyses.representations import represent
    from histopair.training import runs

    given, params = dict(snakemake.input.items()), snakemake.params
    run = runs.Run(
        artifacts=given,
        root=params.root,
        encoder_entry=params.encoder,
        retriever_entry=None,
        method=params.method,
        seed=int(snakemake.wildcards.seed),
        device=devices.start(),
        image_cache_mb=0,
    )
    represent(run, given["weights"], given["predictions"], snakemake.output[0], about)
