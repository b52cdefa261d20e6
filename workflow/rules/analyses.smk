# Analyses of a study, by name: where text helps, what was distilled, how embeddings lie, what it costs,
# how often its verdicts come out when it is repeated, and which labels a reader should give first.
# Reads the study's runs, labels and metrics; writes results/analyses/{study}.{analysis}.{csv,svg} and
# results/analyses/{study}.html, representations.parquet beside runs, and costs.parquet: times of this
# machine, which no rerun repeats.


rule complementarity:
    input:
        predictions=planned(plan.analyses.compared_predictions),
        labels=planned(plan.studies.labels),
    output:
        table="results/analyses/{study}.complementarity.csv",
        svg="results/analyses/{study}.complementarity.svg",
    log:
        "logs/complementarity/{study}.txt",
    benchmark:
        "results/benchmarks/complementarity/{study}.tsv"
    wildcard_constraints:
        study=pattern(asked(plan.analyses.studies_with, "complementarity")),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        runs=planned(plan.analyses.compared_runs),
        datasets=planned(plan.studies.datasets),
        pair=planned(plan.analyses.compared),
        synthetic=planned(plan.studies.synthetic),
        code=code("complementarity.py"),
    script:
        "../scripts/complementarity.py"


rule represent:
    input:
        unpack(planned(plan.analyses.represented)),
        weights=f"{RUN}/weights.safetensors",
        predictions=f"{RUN}/predictions.parquet",
        encoders=planned(plan.exports.encoder_files),
    output:
        f"{RUN}/representations.parquet",
    log:
        "logs/represent/{dataset}/{encoder}/{method}/{seed}.txt",
    benchmark:
        "results/benchmarks/represent/{dataset}/{encoder}/{method}/{seed}.tsv"
    wildcard_constraints:
        method=pattern(asked(plan.analyses.distilled_methods)),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=growing(4000),
        runtime="2h",
    params:
        run=planned(plan.exports.spec),
        code=code("represent.py", plan.exports.modules),
    script:
        "../scripts/represent.py"


rule distillation:
    input:
        planned(plan.analyses.distilled_files),
    output:
        table="results/analyses/{study}.distillation.csv",
        svg="results/analyses/{study}.distillation.svg",
    log:
        "logs/distillation/{study}.txt",
    benchmark:
        "results/benchmarks/distillation/{study}.tsv"
    wildcard_constraints:
        study=pattern(asked(plan.analyses.studies_with, "distillation")),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        runs=planned(plan.analyses.distilled_runs),
        synthetic=planned(plan.studies.synthetic),
        code=code("distillation.py"),
    script:
        "../scripts/distillation.py"


rule tsne:
    input:
        planned(plan.analyses.pictured_files),
    output:
        table="results/analyses/{study}.tsne.csv",
        svg="results/analyses/{study}.tsne.svg",
    log:
        "logs/tsne/{study}.txt",
    benchmark:
        "results/benchmarks/tsne/{study}.tsv"
    wildcard_constraints:
        study=pattern(asked(plan.analyses.studies_with, "tsne")),
    conda:
        "../../envs/data.yaml"
    # With more, rounding differs from run to run, and the pictures with it.
    threads: 1
    params:
        runs=planned(plan.analyses.pictured_runs),
        synthetic=planned(plan.studies.synthetic),
        code=code("tsne.py"),
    script:
        "../scripts/tsne.py"


rule measure_cost:
    input:
        models=planned(plan.analyses.costed_files),
        encoders=planned(plan.analyses.costed_encoders),
    output:
        "results/analyses/{study}.costs.parquet",
    log:
        "logs/measure_cost/{study}.txt",
    benchmark:
        "results/benchmarks/measure_cost/{study}.tsv"
    wildcard_constraints:
        study=pattern(asked(plan.analyses.studies_with, "cost")),
    conda:
        "../../envs/torch.yaml"
    # Latency on a CPU is that of one thread.
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=growing(8000),
        runtime="2h",
    params:
        runs=planned(plan.analyses.costed_runs),
        code=code("measure_cost.py", plan.analyses.costed_modules),
    script:
        "../scripts/measure_cost.py"


rule repeat:
    input:
        planned(plan.analyses.repeated_files),
        encoders=planned(plan.analyses.repeated_encoders),
        gates=planned(plan.studies.gates),
    output:
        "results/analyses/{study}.repetitions.parquet",
    log:
        "logs/repeat/{study}.txt",
    benchmark:
        "results/benchmarks/repeat/{study}.tsv"
    wildcard_constraints:
        study=pattern(asked(plan.analyses.studies_with, "repetitions")),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=growing(4000),
        runtime="4h",
    params:
        runs=planned(plan.analyses.repeated_runs),
        study=planned(plan.studies.settings),
        times=planned(plan.analyses.repeated),
        code=code("repeat.py", plan.analyses.repeated_modules),
    script:
        "../scripts/repeat.py"


rule repetitions:
    input:
        "results/analyses/{study}.repetitions.parquet",
    output:
        table="results/analyses/{study}.repetitions.csv",
        svg="results/analyses/{study}.repetitions.svg",
    log:
        "logs/repetitions/{study}.txt",
    benchmark:
        "results/benchmarks/repetitions/{study}.tsv"
    wildcard_constraints:
        study=pattern(asked(plan.analyses.studies_with, "repetitions")),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        synthetic=planned(plan.studies.synthetic),
        code=code("repetitions.py"),
    script:
        "../scripts/repetitions.py"


rule active_learning:
    input:
        planned(plan.analyses.world_files),
    output:
        table="results/analyses/{study}.active_learning.csv",
        svg="results/analyses/{study}.active_learning.svg",
    log:
        "logs/active_learning/{study}.txt",
    benchmark:
        "results/benchmarks/active_learning/{study}.tsv"
    wildcard_constraints:
        study=pattern(asked(plan.analyses.studies_with, "active_learning")),
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="4h",
    params:
        worlds=planned(plan.analyses.worlds),
        settings=planned(plan.analyses.asked),
        seeds=planned(plan.analyses.asked_seeds),
        metric=planned(plan.studies.metric),
        synthetic=planned(plan.studies.synthetic),
        code=code("active_learning.py"),
    script:
        "../scripts/active_learning.py"


rule cost:
    input:
        costs="results/analyses/{study}.costs.parquet",
        scores=planned(plan.studies.scores),
    output:
        table="results/analyses/{study}.cost.csv",
        svg="results/analyses/{study}.cost.svg",
    log:
        "logs/cost/{study}.txt",
    benchmark:
        "results/benchmarks/cost/{study}.tsv"
    wildcard_constraints:
        study=pattern(asked(plan.analyses.studies_with, "cost")),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        runs=planned(plan.studies.runs),
        files=planned(plan.studies.outputs, "metrics.json"),
        metric=planned(plan.studies.metric),
        synthetic=planned(plan.studies.synthetic),
        code=code("cost.py"),
    script:
        "../scripts/cost.py"


rule analyses_page:
    input:
        tables=planned(plan.analyses.files, "csv"),
        plots=planned(plan.analyses.files, "svg"),
    output:
        "results/analyses/{study}.html",
    log:
        "logs/analyses_page/{study}.txt",
    wildcard_constraints:
        study=pattern(asked(plan.analyses.analysed)),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        study=planned(plan.studies.settings),
        analyses=planned(plan.analyses.named),
        look=look(),
        code=code("analyses_page.py"),
    script:
        "../scripts/analyses_page.py"
