"""Tabulate and plot one survival study."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.report.survival_page import write_study

    given = snakemake.input
    files = zip(given.predictions, given.histories, strict=True)
    runs = [
        run | {"predictions": predictions, "history": history}
        for run, (predictions, history) in zip(snakemake.params.runs, files, strict=True)
    ]
    names = ("patients", "audit", "truth", "pairs", "published")
    evidence = {name: given.get(name) for name in names}
    study, cohort = snakemake.params.study, snakemake.params.cohort
    write_study(runs, snakemake.wildcards.study, study, cohort, evidence, snakemake.output)
