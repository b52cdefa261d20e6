from histopair.jobs import job

with job(snakemake) as about:
    from histopair.phantom import own_reports

    given, out = snakemake.input, snakemake.output
    own_reports.write(out.reports, given.truth, out.truth, snakemake.params.seed, about)
