"""Tabulate and plot one study."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.evaluation import scored
    from histopair.pages.study_page import write_study

    given, params = snakemake.input, snakemake.params

    def with_files(runs, predictions):
        files = zip(runs, predictions, strict=True)
        return [run | {"predictions": p, "metrics": scored.metrics_of(p)} for run, p in files]

    scored.check([*given.scores, *given.external_scores])
    runs = with_files(params.runs, given.predictions)
    datasets = [*params.datasets, *params.externals]
    labels = dict(zip(datasets, [*given.labels, *given.external_labels], strict=True))
    study = params.study | {"truths": params.truths, "gates": list(given.gates)}
    study["external"] = with_files(params.external, given.external)
    study["shared"] = list(given.shared)
    write_study(runs, labels, snakemake.wildcards.study, study, snakemake.output)
