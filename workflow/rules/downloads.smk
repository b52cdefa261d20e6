# Downloads: public data into data/{source}, by `snakemake data_NAME --config accept=LICENCE`, and the encoders of the page's
# studies into the cache of the model hub, by `snakemake fetch_weights`. Nothing here runs by itself.
#
# reads   addresses of datasets/sources.yaml; repositories that the config's encoders name
# writes  data/{source}/, and data/{source}/receipt.json, what was fetched from where; results/weights/{encoder}.json, the same of
#         an encoder, whose files lie in the cache
#
# The receipt alone is an output, because Snakemake deletes the outputs of a job that fails or runs again. The code is no
# parameter: to fetch gigabytes again for a new message would help nobody.


rule download:
    input:
        planned(plan.fetching.allowed),
    output:
        plan.fetching.sources.RECEIPT,
    log:
        "logs/download/{source}.txt",
    benchmark:
        "results/benchmarks/download/{source}.tsv"
    wildcard_constraints:
        source=pattern(plan.fetching.sources.read()),
    # On the machine that Snakemake runs on: compute nodes may have no network.
    localrule: True
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        source=planned(plan.fetching.source),
    script:
        "../scripts/download.py"


for name in plan.fetching.sources.read():

    rule:
        name:
            plan.fetching.sources.rule(name)
        input:
            plan.fetching.sources.RECEIPT.format(source=name),
        localrule: True


rule fetch_encoder:
    output:
        WEIGHTS,
    log:
        "logs/weights/{encoder}.txt",
    benchmark:
        "results/benchmarks/fetch_encoder/{encoder}.tsv"
    # As for download.
    localrule: True
    conda:
        "../../envs/torch.yaml"
    threads: 1
    params:
        encoder=planned(plan.encoders.entry),
    script:
        "../scripts/fetch_encoder.py"


rule fetch_weights:
    input:
        planned(plan.fetching.weights),
    localrule: True
