from histopair.jobs import job

with job(snakemake) as about:
    import torch

    from histopair.export import write
    from histopair.training import runs

    files, params = dict(snakemake.input.items()), snakemake.params
    torch.set_num_threads(snakemake.threads)
    run = runs.Run(
        artifacts=files,
        root=params.root,
        encoder_entry=params.encoder,
        retriever_entry=None,
        method=params.method,
        seed=int(snakemake.wildcards.seed),
        device=torch.device("cpu"),
        image_cache_mb=0,
        text_encoder_entry=params.text_encoder,
    )
    write.export(run, files, params.described, snakemake.output[0], about)
