from histopair.jobs import job

with job(snakemake) as about:
    from histopair.phantom import lesions

    out, params = snakemake.output, snakemake.params
    lesions.tiles(out.tiles, out.masks, out.labels, out.truth, params.size, params.seed, about)
