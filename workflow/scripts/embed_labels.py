"""Embed the labels of one dataset as published, to find synonyms among them."""

from histopair.jobs import job  # first: it limits threads before torch loads

with job(snakemake) as about:
    import pandas as pd

    from histopair.datasets import proposals
    from histopair.encoders import embed

    labels = sorted(proposals.counts(snakemake.params.entry))
    embed.embed_texts(
        pd.DataFrame({"label": labels, "text": labels}),
        ["label"],
        "text",
        snakemake.params.encoder,
        snakemake.params.embedding,
        f"results/.shards/{snakemake.output[0]}",
        snakemake.output[0],
        about,
    )
