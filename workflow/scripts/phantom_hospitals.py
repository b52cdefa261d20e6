from histopair.jobs import job

with job(snakemake) as about:
    from histopair.phantom import hospitals

    out, size, seed = snakemake.output, snakemake.params.size, snakemake.params.seed
    hospitals.write(out.tiles, out.labels, out.truth, size, seed, about)
