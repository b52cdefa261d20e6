"""Judge claims on simulated studies, to see how often they hold and how often wrongly."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.evaluation import instrument
    from histopair.pages import instrument_page

    instrument_page.write(instrument.tabulate(), snakemake.output)
