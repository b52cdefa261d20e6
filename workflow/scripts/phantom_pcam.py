import os

from histopair.jobs import job

with job(snakemake) as about:
    from histopair.phantom import formats

    formats.pcam(
        os.path.dirname(snakemake.output.train_x),
        snakemake.output.truth,
        snakemake.params.size,
        snakemake.params.seed,
        about,
    )
