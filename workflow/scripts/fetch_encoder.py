from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from pathlib import Path

    from histopair import encoders
    from histopair.files import tables

    fetched = encoders.fetch(snakemake.params.encoder)
    tables.write_json(Path(snakemake.output[0]), about | {"fetched": fetched})
