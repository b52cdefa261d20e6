"""Compute the metrics of the runs of one method from their predictions and their histories."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.evaluation import scored
    from histopair.evaluation.score import score

    given, study = snakemake.input, snakemake.wildcards.study
    for predictions, history in zip(given.predictions, given.histories, strict=True):
        with scored.writing(predictions, study) as metrics:
            score(predictions, history, metrics, scored.about_run(about, predictions))
    scored.write(snakemake.output[0], given.predictions)
