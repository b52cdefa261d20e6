"""Picture the embeddings of each distilled method of a study, and say how separable they are."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.analyses import analysis_figures, outputs, tsne

    params, paths = snakemake.params, snakemake.input
    runs = [run | {"representations": path} for run, path in zip(params.runs, paths, strict=True)]
    clouds = tsne.clouds(runs)
    pictures = [tsne.picture(cloud.vectors) for cloud in clouds]

    def draw(table):
        return analysis_figures.clouds(clouds, pictures, table)

    names = snakemake.wildcards.study, params.synthetic
    outputs.write(tsne.tabulate(clouds), draw, *names, snakemake.output)
