# Finished runs scored on other datasets (`evaluate_on` of a study): nothing is trained, and no temperature is fitted.
# Reads a run's weights, predictions and metrics, the labels of both datasets, and images or their embeddings; writes
# results/external/{external}/{dataset}.leaks.parquet, what both share, and predictions.parquet and metrics.json in
# results/external/{external}/{dataset}/{encoder}/{method}/{seed}/. Datasets of other classes stop here.


wildcard_constraints:
    external=pattern(asked(plan.external.names)),


rule check_external:
    input:
        labels="results/labels/{dataset}.parquet",
        external="results/labels/{external}.parquet",
    output:
        EXTERNAL_LEAKS,
    log:
        "logs/check_external/{external}/{dataset}.txt",
    benchmark:
        "results/benchmarks/check_external/{external}/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=8000,
    params:
        code=code("check_external.py"),
    script:
        "../scripts/check_external.py"


rule predict_external:
    input:
        unpack(planned(plan.external.artifacts)),
        checked=EXTERNAL_LEAKS,
        weights=f"{RUN}/weights.safetensors",
        predictions=f"{RUN}/predictions.parquet",
        encoders=planned(plan.exports.encoder_files),
    output:
        f"{EXTERNAL}/predictions.parquet",
    log:
        "logs/predict_external/{external}/{dataset}/{encoder}/{method}/{seed}.txt",
    benchmark:
        "results/benchmarks/predict_external/{external}/{dataset}/{encoder}/{method}/{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=growing(4000),
        runtime="2h",
    params:
        run=planned(plan.exports.spec),
        root=planned(plan.external.root),
        code=code("predict_external.py", plan.exports.modules),
    script:
        "../scripts/predict_external.py"


rule score_external:
    input:
        predictions=planned(plan.studies.of_seeds, "predictions.parquet", EXTERNAL),
        scores=SCORES,
    output:
        EXTERNAL_SCORES,
    log:
        "logs/score_external/{study}/{external}/{dataset}/{encoder}/{method}.txt",
    benchmark:
        "results/benchmarks/score_external/{study}/{external}/{dataset}/{encoder}/{method}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        code=code("score_external.py"),
    script:
        "../scripts/score_external.py"
