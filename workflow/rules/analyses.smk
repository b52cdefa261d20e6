# Analyses of a study, by name: where text helps, what was distilled, how embeddings lie, what it costs.
# Reads the study's runs, labels and metrics; writes results/analyses/{study}.{analysis}.{csv,svg} and
# results/analyses/{study}.html, representations.parquet beside runs, and costs.parquet: times of this
# machine, which no rerun repeats.


rule complementarity:
    input:
        predictions=lambda w: [
            f"{RUN}/predictions.parquet".format(**run) for run in compared_runs(w.study)
        ],
        labels=lambda w: expand("results/labels/{d}.parquet", d=datasets_of(w.study)),
    output:
        table="results/analyses/{study}.complementarity.csv",
        svg="results/analyses/{study}.complementarity.svg",
    log:
        "logs/complementarity/{study}.txt",
    benchmark:
        "results/benchmarks/complementarity/{study}.tsv"
    wildcard_constraints:
        study=any_of(s for s in config["studies"] if "complementarity" in analyses_of(s)),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        runs=lambda w: compared_runs(w.study),
        datasets=lambda w: datasets_of(w.study),
        pair=lambda w: config["studies"][w.study]["complementarity"],
        synthetic=lambda w: synthetic_of(w.study),
        code=code("complementarity.py"),
    script:
        "../scripts/complementarity.py"


rule represent:
    input:
        unpack(represented_artifacts),
        weights=f"{RUN}/weights.safetensors",
        predictions=f"{RUN}/predictions.parquet",
        encoders=exported_encoders,
    output:
        f"{RUN}/representations.parquet",
    log:
        "logs/represent/{dataset}/{encoder}/{method}/{seed}.txt",
    benchmark:
        "results/benchmarks/represent/{dataset}/{encoder}/{method}/{seed}.tsv"
    wildcard_constraints:
        method=any_of(m for m in config["methods"] if is_distilled(m)),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
        runtime="2h",
    params:
        root=lambda w: dataset_entry(w.dataset)["root"],
        encoder=lambda w: encoder_params(w.encoder),
        method=method_of,
        code=lambda w: code("represent.py", encoder_code(w.encoder)),
    script:
        "../scripts/represent.py"


rule distillation:
    input:
        lambda w: representations(distilled_runs(w.study)),
    output:
        table="results/analyses/{study}.distillation.csv",
        svg="results/analyses/{study}.distillation.svg",
    log:
        "logs/distillation/{study}.txt",
    benchmark:
        "results/benchmarks/distillation/{study}.tsv"
    wildcard_constraints:
        study=any_of(s for s in config["studies"] if "distillation" in analyses_of(s)),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        runs=lambda w: distilled_runs(w.study),
        synthetic=lambda w: synthetic_of(w.study),
        code=code("distillation.py"),
    script:
        "../scripts/distillation.py"


rule tsne:
    input:
        lambda w: representations(pictured_runs(w.study)),
    output:
        table="results/analyses/{study}.tsne.csv",
        svg="results/analyses/{study}.tsne.svg",
    log:
        "logs/tsne/{study}.txt",
    benchmark:
        "results/benchmarks/tsne/{study}.tsv"
    wildcard_constraints:
        study=any_of(s for s in config["studies"] if "tsne" in analyses_of(s)),
    conda:
        "../../envs/data.yaml"
    # With more, rounding differs from run to run, and the pictures with it.
    threads: 1
    params:
        runs=lambda w: pictured_runs(w.study),
        synthetic=lambda w: synthetic_of(w.study),
        code=code("tsne.py"),
    script:
        "../scripts/tsne.py"


rule measure_cost:
    input:
        models=lambda w: [path for run in costed_runs(w.study) for path in run["files"].values()],
        encoders=costed_encoders,
    output:
        "results/analyses/{study}.costs.parquet",
    log:
        "logs/measure_cost/{study}.txt",
    benchmark:
        "results/benchmarks/measure_cost/{study}.tsv"
    wildcard_constraints:
        study=any_of(s for s in config["studies"] if "cost" in analyses_of(s)),
    conda:
        "../../envs/torch.yaml"
    # Latency on a CPU is that of one thread.
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=8000,
        runtime="2h",
    params:
        runs=lambda w: costed_runs(w.study),
        code=lambda w: code("measure_cost.py", *costed_code(w)),
    script:
        "../scripts/measure_cost.py"


rule cost:
    input:
        costs="results/analyses/{study}.costs.parquet",
        metrics=lambda w: outputs_of_runs(w.study, "metrics.json"),
    output:
        table="results/analyses/{study}.cost.csv",
        svg="results/analyses/{study}.cost.svg",
    log:
        "logs/cost/{study}.txt",
    benchmark:
        "results/benchmarks/cost/{study}.tsv"
    wildcard_constraints:
        study=any_of(s for s in config["studies"] if "cost" in analyses_of(s)),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        runs=lambda w: runs_of(w.study),
        metric=lambda w: config["studies"][w.study]["metric"],
        synthetic=lambda w: synthetic_of(w.study),
        code=code("cost.py"),
    script:
        "../scripts/cost.py"


rule analyses_page:
    input:
        tables=lambda w: analysis_files(w.study, "csv"),
        plots=lambda w: analysis_files(w.study, "svg"),
    output:
        "results/analyses/{study}.html",
    log:
        "logs/analyses_page/{study}.txt",
    wildcard_constraints:
        study=any_of(s for s in config["studies"] if analyses_of(s)),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        study=study_params,
        analyses=lambda w: analyses_of(w.study),
        look=look(),
        code=code("analyses_page.py"),
    script:
        "../scripts/analyses_page.py"
