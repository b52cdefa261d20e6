"""Clean the reports of one corpus and find their sections."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.corpora.reports import clean

    clean(snakemake.params.entry, snakemake.wildcards.corpus, *snakemake.output, about)
