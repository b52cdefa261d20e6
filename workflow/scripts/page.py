"""Write the page."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.pages.overview import write_page

    write_page(
        snakemake.params.config, snakemake.params.shown, "results", snakemake.output[0], about
    )
