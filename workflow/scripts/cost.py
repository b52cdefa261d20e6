"""Show what each method of a study costs beside a metric of its runs."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.analyses import analysis_figures, outputs, tradeoff
    from histopair.evaluation import scored
    from histopair.files import tables

    given, params = snakemake.input, snakemake.params
    scored.check(given.scores)
    runs = [run | {"metrics": path} for run, path in zip(params.runs, params.files, strict=True)]
    table = tradeoff.with_quality(tables.read(given.costs), runs, params.metric)
    names = snakemake.wildcards.study, params.synthetic
    outputs.write(table, analysis_figures.pareto, *names, snakemake.output)
