import os

from histopair.jobs import job

with job(snakemake) as about:
    from histopair.phantom import quilt

    quilt.quilt(
        os.path.dirname(snakemake.output.lookup),
        snakemake.output.truth,
        snakemake.params.size,
        snakemake.params.seed,
        about,
    )
