# Survival: a chain of its own, from slides' features and a clinical csv to a page (CLIP-IT F.6).
# Reads what config `cohorts` names, and results/embeddings/{retriever}/{corpus}.texts.parquet; writes
# results/cohorts/{cohort}.parquet, .audit.parquet, .bags.parquet, .pairs.parquet, .oracle.parquet,
# results/survival/{study}/{method}/{seed}/ and results/survival/{study}.csv, .folds.csv, .svg,
# .curves.svg, .html. The phantom's cohort goes through the tiles of a dataset: its features are the
# cached embeddings, written as TRIDENT and CLAM write theirs.


rule phantom_cohort:
    output:
        tiles=directory("results/phantom/cohort/tiles"),
        labels="results/phantom/cohort/labels.csv",
        clinical="results/phantom/cohort/clinical.csv",
        truth="results/phantom/truth/cohort.parquet",
    log:
        "logs/phantom/cohort.txt",
    benchmark:
        "results/benchmarks/phantom/cohort.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        size=config["phantom"]["cohort"],
        seed=config["phantom"]["seed"],
        code=code("phantom_cohort.py"),
    script:
        "../scripts/phantom_cohort.py"


rule phantom_features:
    input:
        embeddings="results/embeddings/{encoder}/{dataset}.images.parquet",
        labels="results/labels/{dataset}.parquet",
    output:
        directory("results/phantom/features/{layout}/{encoder}/{dataset}"),
    log:
        "logs/phantom/features/{layout}/{encoder}/{dataset}.txt",
    benchmark:
        "results/benchmarks/phantom/features/{layout}/{encoder}/{dataset}.tsv"
    wildcard_constraints:
        layout="trident|clam",
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        code=code("phantom_features.py"),
    script:
        "../scripts/phantom_features.py"


rule clean_cohort:
    input:
        clinical=planned(plan.survival.clinical),
        features=planned(plan.survival.features),
    output:
        patients="results/cohorts/{cohort}.parquet",
        audit="results/cohorts/{cohort}.audit.parquet",
    log:
        "logs/cohorts/{cohort}.txt",
    benchmark:
        "results/benchmarks/clean_cohort/{cohort}.tsv"
    wildcard_constraints:
        cohort=pattern(config["cohorts"]),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        entry=planned(plan.survival.cohort),
        code=code("clean_cohort.py"),
    script:
        "../scripts/clean_cohort.py"


rule embed_patients:
    input:
        patients="results/cohorts/{cohort}.parquet",
        features=planned(plan.survival.retrieval_features),
    output:
        "results/cohorts/{cohort}.bags.parquet",
    log:
        "logs/cohorts/{cohort}.bags.txt",
    benchmark:
        "results/benchmarks/embed_patients/{cohort}.tsv"
    wildcard_constraints:
        cohort=pattern(config["cohorts"]),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        code=code("embed_patients.py"),
    script:
        "../scripts/embed_patients.py"


rule pair_patients:
    input:
        bags="results/cohorts/{cohort}.bags.parquet",
        texts=planned(plan.survival.texts),
    output:
        "results/cohorts/{cohort}.pairs.parquet",
    log:
        "logs/cohorts/{cohort}.pairs.txt",
    benchmark:
        "results/benchmarks/pair_patients/{cohort}.tsv"
    wildcard_constraints:
        cohort=pattern(config["cohorts"]),
    conda:
        "../../envs/faiss.yaml"
    threads: 1
    params:
        retrieval=config["retrieval"],
        code=code("pair_patients.py"),
    script:
        "../scripts/pair_patients.py"


rule pair_patients_oracle:
    input:
        labels="results/cohorts/{cohort}.bags.parquet",
        reports=planned(plan.survival.reports),
        dataset_truth=planned(plan.survival.patients_truth),
        corpus_truth=planned(plan.survival.reports_truth),
    output:
        "results/cohorts/{cohort}.oracle.parquet",
    log:
        "logs/cohorts/{cohort}.oracle.txt",
    benchmark:
        "results/benchmarks/pair_patients_oracle/{cohort}.tsv"
    wildcard_constraints:
        cohort=pattern(config["cohorts"]),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        k=config["retrieval"]["k"],
        code=code("pair_oracle.py"),
    script:
        "../scripts/pair_oracle.py"


rule survival_run:
    input:
        unpack(planned(plan.survival.artifacts)),
        patients=planned(plan.survival.patients),
        features=planned(plan.survival.features),
    output:
        weights="results/survival/{study}/{method}/{seed}/weights.safetensors",
        history="results/survival/{study}/{method}/{seed}/history.parquet",
        predictions="results/survival/{study}/{method}/{seed}/predictions.parquet",
    log:
        "logs/survival/{study}/{method}/{seed}.txt",
    benchmark:
        "results/benchmarks/survival_run/{study}/{method}/{seed}.tsv"
    wildcard_constraints:
        study=pattern(config["survival"]),
        method="[a-z0-9-]+",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=8000,
        runtime="12h",
    params:
        method=planned(plan.survival.method),
        entry=planned(plan.survival.cohort),
        code=code("survival_run.py"),
    script:
        "../scripts/survival_run.py"


rule survival_study:
    input:
        unpack(planned(plan.survival.evidence)),
        patients=planned(plan.survival.patients),
        audit=planned(plan.survival.audit),
        predictions=planned(plan.survival.outputs, "predictions.parquet"),
        histories=planned(plan.survival.outputs, "history.parquet"),
    output:
        csv="results/survival/{study}.csv",
        folds="results/survival/{study}.folds.csv",
        claims="results/survival/{study}.claims.csv",
        svg=report(
            "results/survival/{study}.svg",
            caption="../report/survival_plot.rst",
            category="Survival",
        ),
        curves="results/survival/{study}.curves.svg",
        html=report(
            "results/survival/{study}.html", caption="../report/survival.rst", category="Survival"
        ),
    log:
        "logs/survival/{study}.txt",
    benchmark:
        "results/benchmarks/survival_study/{study}.tsv"
    wildcard_constraints:
        study=pattern(config["survival"]),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        study=planned(plan.survival.study),
        cohort=planned(plan.survival.shown_cohort),
        runs=planned(plan.survival.runs),
        look=look(),
        code=code("survival_study.py"),
    script:
        "../scripts/survival_study.py"
