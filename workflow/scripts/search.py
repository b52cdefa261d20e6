"""Search for a method's best parameters on validation."""

from histopair.jobs import job

with job(snakemake) as about:
    from histopair import devices
    from histopair.training import checkpoint, parameter_search, runs

    params, entry = snakemake.params, snakemake.params.search
    kept = {key: entry[key] for key in sorted(entry) if key != "trials"}
    of_all = about | {"params": about["params"] | {"search": kept}}

    def make(method: dict, seed: int) -> runs.Run:
        return runs.Run(
            artifacts={key: value for key, value in snakemake.input.items() if key != "encoders"},
            root=params.root,
            encoder_entry=params.encoder,
            retriever_entry=params.retriever,
            method=method,
            seed=seed,
            device=devices.start(),
            image_cache_mb=snakemake.resources.mem_mb // 2,
            text_encoder_entry=params.text_encoder,
        )

    parameter_search.search(
        make,
        entry,
        params.method,
        checkpoint.folder(f"results/.resume/{snakemake.output[0]}", of_all, snakemake.input),
        snakemake.output[0],
        about,
    )
