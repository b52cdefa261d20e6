from histopair.jobs import job

with job(snakemake) as about:
    from histopair.phantom import grades

    out, size, seed = snakemake.output, snakemake.params.size, snakemake.params.seed
    grades.tiles(out.tiles, out.labels, out.truth, size, seed, about)
    grades.reports(out.reports, out.reports_truth, size, seed, about)
