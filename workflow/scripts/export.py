from histopair.jobs import job

with job(snakemake) as about:
    import torch

    from histopair.export import write
    from histopair.training import one_run

    files, params = dict(snakemake.input.items()), snakemake.params
    torch.set_num_threads(snakemake.threads)
    seed = int(snakemake.wildcards.seed)
    run = one_run.Run.of(params.run, files, seed, torch.device("cpu"))
    write.export(run, files, params.described, snakemake.output[0], about)
