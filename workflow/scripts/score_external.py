"""Compute the metrics of one run on another dataset."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.evaluation.score import score_elsewhere

    inputs = snakemake.input
    score_elsewhere(inputs.predictions, inputs.metrics, snakemake.output[0], about)
