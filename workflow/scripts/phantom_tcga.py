import os

from histopair.jobs import job

with job(snakemake) as about:
    from histopair.phantom import tcga

    tcga.tcga(
        os.path.dirname(snakemake.output.reports),
        snakemake.output.truth,
        snakemake.params.size,
        snakemake.params.seed,
        about,
    )
