"""Join the runs of a dataset's folds."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.training import joined_folds

    given = snakemake.input
    runs = [
        {"predictions": predictions, "history": history}
        for predictions, history in zip(given.predictions, given.histories, strict=True)
    ]
    joined_folds.join(runs, snakemake.output.predictions, snakemake.output.history, about)
