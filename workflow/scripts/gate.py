"""Judge whether a synthetic world can tell anything about text."""

from histopair.jobs import job  # first: it limits threads before numpy loads

with job(snakemake) as about:
    from histopair.evaluation import gate

    given = snakemake.input
    embeddings = {name: given[name] for name in ("backbone", "retriever")}
    truths = given.truth, given.report_truth
    gate.write(given.labels, *truths, embeddings, given.pairs, snakemake.output[0], about)
