"""Tabulate and plot one study."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.pages.study_page import write_study

    given, params = snakemake.input, snakemake.params

    def with_files(runs, predictions, metrics):
        columns = zip(runs, predictions, metrics, strict=True)
        return [run | {"predictions": p, "metrics": m} for run, p, m in columns]

    runs = with_files(params.runs, given.predictions, given.metrics)
    datasets = [*params.datasets, *params.externals]
    labels = dict(zip(datasets, [*given.labels, *given.external_labels], strict=True))
    study = params.study | {"truths": params.truths, "gates": list(given.gates)}
    study["external"] = with_files(params.external, given.external, given.external_metrics)
    study["shared"] = list(given.shared)
    write_study(runs, labels, snakemake.wildcards.study, study, snakemake.output)
