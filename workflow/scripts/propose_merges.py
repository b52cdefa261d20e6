"""Propose which labels of one dataset are one."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.datasets import proposals

    embeddings = snakemake.input.get("embeddings")
    proposals.write(snakemake.params.entry, embeddings, snakemake.output[0])
