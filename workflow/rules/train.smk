# Runs: one dataset, encoder, method and seed each; of a dataset that is cross-validated one for each fold, and all of
# them joined. For students, what a finished run predicts for all samples; for methods that first learn from all images,
# labelled or not, that part of them, which runs with few labels share.
# Reads what the method needs, so that methods without text never wait for pairs;
# writes results/runs/{dataset}/{encoder}/{method}/{seed}/. How a run is computed (`training` in the
# config) is no param: it reruns nothing.


rule run:
    input:
        unpack(for_all_seeds(plan.runs.artifacts)),
        encoders=for_all_seeds(plan.runs.encoder_files),
    output:
        weights="results/runs/{dataset}/{encoder}/{method}/{seed}/weights.safetensors",
        history="results/runs/{dataset}/{encoder}/{method}/{seed}/history.parquet",
        predictions="results/runs/{dataset}/{encoder}/{method}/{seed}/predictions.parquet",
    log:
        "logs/runs/{dataset}/{encoder}/{method}/{seed}.txt",
    benchmark:
        "results/benchmarks/run/{dataset}/{encoder}/{method}/{seed}.tsv"
    wildcard_constraints:
        dataset=pattern(asked(plan.data.split)),
    # The longest jobs: what others wait for goes first, so that no core is idle at the end.
    priority: -1
    conda:
        "../../envs/torch.yaml"
    threads: config["training"]["processes"]
    resources:
        gpu=config["gpu"] * config["training"]["processes"],
        mem_mb=growing(5500 * config["training"]["processes"]),
        runtime="12h",
    params:
        run=for_all_seeds(plan.runs.spec),
        code=code("run.py", plan.runs.modules, plan.fingerprint.AFTER_TRAINING),
    script:
        "../scripts/run.py"


rule distil:
    input:
        unpack(for_all_seeds(plan.runs.before_labels)),
        encoders=for_all_seeds(plan.runs.encoder_files),
    output:
        weights="results/distilled/{dataset}/{encoder}/{method}/{seed}/weights.safetensors",
        history="results/distilled/{dataset}/{encoder}/{method}/{seed}/history.parquet",
        vectors="results/distilled/{dataset}/{encoder}/{method}/{seed}/vectors.parquet",
    log:
        "logs/distilled/{dataset}/{encoder}/{method}/{seed}.txt",
    benchmark:
        "results/benchmarks/distil/{dataset}/{encoder}/{method}/{seed}.tsv"
    wildcard_constraints:
        dataset=pattern(asked(plan.data.split)),
    # After it come the runs that read it.
    priority: 1
    conda:
        "../../envs/torch.yaml"
    threads: config["training"]["processes"]
    resources:
        gpu=config["gpu"] * config["training"]["processes"],
        mem_mb=growing(5500 * config["training"]["processes"]),
        runtime="12h",
    params:
        run=for_all_seeds(plan.runs.spec),
        code=code("distil.py", plan.runs.modules, plan.fingerprint.AFTER_TRAINING),
    script:
        "../scripts/distil.py"


rule teach:
    input:
        unpack(for_all_seeds(plan.exports.artifacts)),
        weights=f"{RUN}/weights.safetensors",
        encoders=for_all_seeds(plan.exports.encoder_files),
    output:
        "results/runs/{dataset}/{encoder}/{method}/{seed}/logits.parquet",
    log:
        "logs/teach/{dataset}/{encoder}/{method}/{seed}.txt",
    benchmark:
        "results/benchmarks/teach/{dataset}/{encoder}/{method}/{seed}.tsv"
    wildcard_constraints:
        dataset=pattern(asked(plan.data.split)),
    conda:
        "../../envs/torch.yaml"
    # As for embed_images.
    threads: 8 if config["gpu"] else 1
    resources:
        gpu=config["gpu"],
        mem_mb=growing(5500),
        runtime="4h",
    params:
        run=for_all_seeds(plan.exports.spec),
        code=code("teach.py", plan.exports.modules),
    script:
        "../scripts/teach.py"


rule join_folds:
    input:
        predictions=planned(plan.runs.of_folds, "predictions.parquet"),
        histories=planned(plan.runs.of_folds, "history.parquet"),
    output:
        history="results/runs/{dataset}/{encoder}/{method}/{seed}/history.parquet",
        predictions="results/runs/{dataset}/{encoder}/{method}/{seed}/predictions.parquet",
    log:
        "logs/join_folds/{dataset}/{encoder}/{method}/{seed}.txt",
    benchmark:
        "results/benchmarks/join_folds/{dataset}/{encoder}/{method}/{seed}.tsv"
    wildcard_constraints:
        dataset=pattern(asked(plan.data.folded)),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        code=code("join_folds.py"),
    script:
        "../scripts/join_folds.py"
