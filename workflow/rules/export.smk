# Exports: a finished run as one folder that predicts on its own (histopair/export says what is in it).
# Reads a run's weights and predictions, its labels and the encoders that it predicts with;
# writes results/exports/{dataset}/{encoder}/{method}/{seed}/. Nothing asks for it but you, by name; nor for
# results/second_reads/{dataset}/{encoder}/{method}/{seed}.csv: what the folder says beside its findings, held against the truth.


rule export:
    input:
        unpack(planned(plan.exports.artifacts)),
        weights=f"{RUN}/weights.safetensors",
        predictions=f"{RUN}/predictions.parquet",
        encoders=planned(plan.exports.encoder_files),
    output:
        directory("results/exports/{dataset}/{encoder}/{method}/{seed}"),
    log:
        "logs/exports/{dataset}/{encoder}/{method}/{seed}.txt",
    benchmark:
        "results/benchmarks/export/{dataset}/{encoder}/{method}/{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime="1h",
    params:
        run=planned(plan.exports.spec),
        described=planned(plan.exports.described),
        code=code("export.py", plan.exports.modules),
    script:
        "../scripts/export.py"


rule second_read:
    input:
        unpack(planned(plan.exports.truth)),
        export="results/exports/{dataset}/{encoder}/{method}/{seed}",
        labels="results/labels/{dataset}.parquet",
        predictions=f"{RUN}/predictions.parquet",
    output:
        "results/second_reads/{dataset}/{encoder}/{method}/{seed}.csv",
    log:
        "logs/second_reads/{dataset}/{encoder}/{method}/{seed}.txt",
    benchmark:
        "results/benchmarks/second_read/{dataset}/{encoder}/{method}/{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime="2h",
    params:
        root=planned(plan.encoders.root),
        code=code("second_read.py", plan.exports.modules),
    script:
        "../scripts/second_read.py"
