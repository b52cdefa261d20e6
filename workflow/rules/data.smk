# Data: from datasets and reports as published to clean labels and sections of text.
#
# reads   what the readers of config `datasets` and `corpora` name as their inputs
# writes  results/labels/{dataset}.parquet, .audit.parquet, .quarantine.parquet, .frequencies.parquet
#         results/labels/{dataset}.leaks.parquet, .proposals.csv
#         results/reports/{corpus}.parquet, .audit.parquet
#
# A dataset with `of` is a resplit: the same samples, another split; its images are not checked again. What is known
# of images stays in results/.shards/, so that a change of labels decodes none of them again.


rule clean_labels:
    input:
        planned(plan.data.dataset_files),
    output:
        labels="results/labels/{dataset}.parquet",
        audit="results/labels/{dataset}.audit.parquet",
        quarantine="results/labels/{dataset}.quarantine.parquet",
        frequencies="results/labels/{dataset}.frequencies.parquet",
    log:
        "logs/labels/{dataset}.txt",
    benchmark:
        "results/benchmarks/clean_labels/{dataset}.tsv"
    wildcard_constraints:
        dataset=pattern(asked(plan.data.sources)),
    # Before all that waits for encoders. More threads would wait for cores that trainings hold.
    priority: 2
    conda:
        "../../envs/data.yaml"
    threads: 8 if config["gpu"] else 1
    resources:
        mem_mb=8000,
        runtime="4h",
    params:
        entry=planned(plan.data.cleaned_dataset),
        given=planned(plan.data.dataset_content),
        code=code("clean_labels.py", plan.data.dataset_reader),
    script:
        "../scripts/clean_labels.py"


rule resplit:
    input:
        unpack(planned(plan.data.viewed)),
    output:
        labels="results/labels/{dataset}.parquet",
        audit="results/labels/{dataset}.audit.parquet",
        quarantine="results/labels/{dataset}.quarantine.parquet",
        frequencies="results/labels/{dataset}.frequencies.parquet",
    log:
        "logs/labels/{dataset}.txt",
    benchmark:
        "results/benchmarks/resplit/{dataset}.tsv"
    wildcard_constraints:
        dataset=pattern(asked(plan.data.resplits)),
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime="1h",
    params:
        entry=planned(plan.data.cleaned_dataset),
        code=code("resplit.py"),
    script:
        "../scripts/resplit.py"


rule check_leaks:
    input:
        "results/labels/{dataset}.parquet",
    output:
        "results/labels/{dataset}.leaks.parquet",
    log:
        "logs/leaks/{dataset}.txt",
    benchmark:
        "results/benchmarks/check_leaks/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime="1h",
    params:
        code=code("check_leaks.py"),
    script:
        "../scripts/check_leaks.py"


rule propose_merges:
    input:
        unpack(planned(plan.data.label_embeddings)),
        published=planned(plan.data.dataset_files),
    output:
        "results/labels/{dataset}.proposals.csv",
    log:
        "logs/proposals/{dataset}.txt",
    benchmark:
        "results/benchmarks/propose_merges/{dataset}.tsv"
    wildcard_constraints:
        dataset=pattern(asked(plan.data.sources)),
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime="1h",
    params:
        entry=planned(plan.data.proposing),
        given=planned(plan.data.dataset_content),
        code=code("propose_merges.py", plan.data.dataset_reader),
    script:
        "../scripts/propose_merges.py"


rule clean_reports:
    input:
        planned(plan.data.corpus_files),
    output:
        reports="results/reports/{corpus}.parquet",
        audit="results/reports/{corpus}.audit.parquet",
    log:
        "logs/reports/{corpus}.txt",
    benchmark:
        "results/benchmarks/clean_reports/{corpus}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        entry=planned(plan.data.cleaned_corpus),
        given=planned(plan.data.corpus_content),
        code=code("clean_reports.py", plan.data.corpus_reader),
    script:
        "../scripts/clean_reports.py"
