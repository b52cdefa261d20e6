"""Cut the reports of one corpus into chunks that one encoder reads whole."""

from histopair.jobs import job  # first: it limits threads before torch loads

with job(snakemake) as about:
    from histopair import encoders
    from histopair.corpora import chunk_tables

    encoder = snakemake.params.encoder
    chunk_tables.write(
        snakemake.input.reports,
        *encoders.counter(encoder),
        snakemake.params.entry,
        encoder["name"],
        snakemake.output.chunks,
        snakemake.output.audit,
        about,
    )
