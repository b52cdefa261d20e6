"""Hold what an export says beside its findings against the truth."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake):
    import torch

    from histopair.analyses.second_reads import questions
    from histopair.files import tables

    torch.set_num_threads(snakemake.threads)
    files = dict(snakemake.input.items())
    table = questions.tabulate(files["export"], files, snakemake.params.root, files.get("truth"))
    tables.write_text(snakemake.output[0], table.to_csv(index=False))
