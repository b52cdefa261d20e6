from histopair.jobs import job

with job(snakemake) as about:
    from histopair.survival import cohort

    out = {name: snakemake.output[name] for name in ("patients", "audit")}
    cohort.clean(snakemake.params.entry, out, about)
