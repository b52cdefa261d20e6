"""Tabulate and plot one study."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.pages.study_page import write_study

    runs = [
        run | {"predictions": predictions, "metrics": metrics}
        for run, predictions, metrics in zip(
            snakemake.params.runs,
            snakemake.input.predictions,
            snakemake.input.metrics,
            strict=True,
        )
    ]
    labels = dict(zip(snakemake.params.datasets, snakemake.input.labels, strict=True))
    study = snakemake.params.study | {"truths": snakemake.params.truths}
    study["gates"] = list(snakemake.input.gates)
    write_study(runs, labels, snakemake.wildcards.study, study, snakemake.output)
