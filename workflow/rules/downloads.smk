# Downloads: public data into data/{source}, by `snakemake data_NAME --config accept=LICENCE`. Nothing here runs by itself.
#
# reads   addresses of datasets/sources.yaml
# writes  data/{source}/, and data/{source}/receipt.json, what was fetched from where
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
