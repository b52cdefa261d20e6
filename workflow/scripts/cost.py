"""Measure what each method of a study costs at inference."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair import devices
    from histopair.analyses import cost, figures, page

    params, device = snakemake.params, devices.start()
    costs = cost.measure([cost.restored(run) for run in params.costed], device)
    pairs = zip(params.runs, snakemake.input.metrics, strict=True)
    runs = [run | {"metrics": path} for run, path in pairs]
    table = cost.with_quality(costs, runs, params.metric)
    names = snakemake.wildcards.study, params.synthetic
    page.write(table, figures.pareto, *names, snakemake.output)
