"""Write the page of a study's analyses."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.analyses.outputs import write_page

    given, params = snakemake.input, snakemake.params
    files = dict(zip(params.analyses, zip(given.tables, given.plots, strict=True), strict=True))
    write_page(snakemake.wildcards.study, params.study, files, snakemake.output[0])
