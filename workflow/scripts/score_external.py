"""Compute the metrics of the runs of one method on another dataset."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.evaluation import scored
    from histopair.evaluation.score import score_elsewhere

    given, study = snakemake.input, snakemake.wildcards.study
    scored.check([given.scores])
    trained = scored.files(given.scores)
    for predictions in given.predictions:
        inside = trained[scored.seed_of(predictions)]
        with scored.writing(predictions, study) as metrics:
            score_elsewhere(predictions, inside, metrics, scored.about_run(about, predictions))
    scored.write(snakemake.output[0], given.predictions)
