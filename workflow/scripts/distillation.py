"""Hold what each distilled method of a study predicts of the text against both teachers."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.analyses import analysis_figures, distillation, outputs

    params, paths = snakemake.params, snakemake.input
    runs = [run | {"representations": path} for run, path in zip(params.runs, paths, strict=True)]
    names = snakemake.wildcards.study, params.synthetic
    outputs.write(
        distillation.tabulate(runs), analysis_figures.distillation, *names, snakemake.output
    )
