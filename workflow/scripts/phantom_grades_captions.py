from histopair.jobs import job

with job(snakemake):
    from histopair.phantom import grades

    size = snakemake.params.size | {"pairs": int(snakemake.wildcards.pairs)}
    grades.captions(*snakemake.output, size, snakemake.params.seed)
