from histopair.jobs import job

with job(snakemake) as about:
    from histopair.phantom import cohort

    out = {name: snakemake.output[name] for name in ("tiles", "labels", "clinical", "truth")}
    cohort.cohort(out, snakemake.params.size, snakemake.params.seed, about)
