"""Tabulate and plot one survival study."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.report.survival_page import write_study

    runs = [
        run | {"predictions": predictions}
        for run, predictions in zip(snakemake.params.runs, snakemake.input.predictions, strict=True)
    ]
    names = ("patients", "audit", "truth", "pairs", "published")
    evidence = {name: snakemake.input.get(name) for name in names}
    study, cohort = snakemake.params.study, snakemake.params.cohort
    write_study(runs, snakemake.wildcards.study, study, cohort, evidence, snakemake.output)
