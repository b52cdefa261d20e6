"""Count which of a vision and a text method are right on each test sample of a study."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.analyses import analysis_figures, complementarity, outputs

    given, params = snakemake.input, snakemake.params
    pairs = zip(params.runs, given.predictions, strict=True)
    runs = [run | {"predictions": path} for run, path in pairs]
    labels = dict(zip(params.datasets, given.labels, strict=True))
    table = complementarity.tabulate(runs, labels, params.pair)
    names = snakemake.wildcards.study, params.synthetic
    outputs.write(table, analysis_figures.complementarity, *names, snakemake.output)
