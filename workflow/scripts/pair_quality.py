"""Judge one pairing: hubness, similarity, agreement against chance."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    from histopair.retrieval.pairing_quality import write_quality

    write_quality(
        snakemake.input.pairs,
        snakemake.input.labels,
        snakemake.input.chunks,
        snakemake.output[0],
        match=snakemake.params.match,
        image_truth=snakemake.input.get("image_truth"),
        report_truth=snakemake.input.get("report_truth"),
    )
