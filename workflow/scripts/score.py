"""Compute the metrics of one run from its predictions and its history."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.evaluation.score import score

    score(
        snakemake.input.predictions,
        snakemake.input.history,
        snakemake.output[0],
        about,
    )
