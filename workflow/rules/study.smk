# Scores, pairing quality, study tables and the page.
# Reads labels, reports, pairs, and the runs' predictions and histories; writes metrics.json of each
# run, for all seeds of a method in one job, which results/scores/{study}/ lists, results/pairs/{encoder}/{dataset}.{corpus}{correction}.quality.json,
# results/gates/{encoder}/{retriever}/{dataset}.{corpus}.json, whether a phantom can tell anything about text,
# results/studies/{study}.csv and the study's other tables, .svg and .html, and results/page.html.

SHOWN = asked(plan.page.shown)
STUDY_TABLES = [
    ".csv",
    ".order.csv",
    ".claims.csv",
    ".tests.csv",
    ".leak.csv",
    ".external.csv",
    ".sites.csv",
    ".gate.csv",
    ".curves.csv",
    ".classes.csv",
    ".calibration.csv",
    ".reliability.csv",
    ".folds.csv",
    ".patients.csv",
    ".hazards.csv",
]


rule score:
    input:
        predictions=planned(plan.studies.of_seeds, "predictions.parquet"),
        histories=planned(plan.studies.of_seeds, "history.parquet"),
    output:
        SCORES,
    log:
        "logs/score/{study}/{dataset}/{encoder}/{method}.txt",
    benchmark:
        "results/benchmarks/score/{study}/{dataset}/{encoder}/{method}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        code=code("score.py"),
    script:
        "../scripts/score.py"


rule pair_quality:
    input:
        unpack(planned(plan.pairs.both_truths)),
        pairs=f"{PAIRS}.parquet",
        labels="results/labels/{dataset}.parquet",
        chunks=planned(plan.pairs.chunks_judged),
    output:
        f"{PAIRS}.quality.json",
    log:
        "logs/pair_quality/{encoder}/{dataset}.{corpus}{correction}.txt",
    benchmark:
        "results/benchmarks/pair_quality/{encoder}/{dataset}.{corpus}{correction}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        match=planned(plan.pairs.match),
        code=code("pair_quality.py"),
    script:
        "../scripts/pair_quality.py"


rule gate:
    input:
        unpack(planned(plan.studies.gate_inputs)),
    output:
        "results/gates/{encoder}/{retriever}/{dataset}.{corpus}.json",
    log:
        "logs/gate/{encoder}/{retriever}/{dataset}.{corpus}.txt",
    benchmark:
        "results/benchmarks/gate/{encoder}/{retriever}/{dataset}.{corpus}.tsv"
    wildcard_constraints:
        retriever=pattern(config["encoders"]),
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        code=code("gate.py"),
    script:
        "../scripts/gate.py"


rule study:
    input:
        gates=planned(plan.studies.gates),
        predictions=planned(plan.studies.outputs, "predictions.parquet"),
        scores=planned(plan.studies.scores),
        labels=planned(plan.studies.labels),
        published=planned(plan.studies.paper),
        truths=planned(plan.studies.truth_files),
        external=planned(plan.external.files, "predictions.parquet"),
        external_scores=planned(plan.external.scores),
        external_labels=planned(plan.external.labels),
        shared=planned(plan.external.leaks),
    output:
        table="results/studies/{study}.csv",
        order="results/studies/{study}.order.csv",
        claims="results/studies/{study}.claims.csv",
        tests="results/studies/{study}.tests.csv",
        leak="results/studies/{study}.leak.csv",
        external="results/studies/{study}.external.csv",
        sites="results/studies/{study}.sites.csv",
        gate="results/studies/{study}.gate.csv",
        curves="results/studies/{study}.curves.csv",
        classes="results/studies/{study}.classes.csv",
        calibration="results/studies/{study}.calibration.csv",
        reliability="results/studies/{study}.reliability.csv",
        folds="results/studies/{study}.folds.csv",
        patients="results/studies/{study}.patients.csv",
        hazards="results/studies/{study}.hazards.csv",
        svg=report(
            "results/studies/{study}.svg", caption="../report/study_plot.rst", category="Studies"
        ),
        html=report(
            "results/studies/{study}.html", caption="../report/study_table.rst", category="Studies"
        ),
    log:
        "logs/study/{study}.txt",
    benchmark:
        "results/benchmarks/study/{study}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        study=planned(plan.studies.settings),
        runs=planned(plan.studies.judged),
        datasets=planned(plan.studies.datasets),
        truths=planned(plan.studies.dataset_truths),
        external=planned(plan.external.evaluated),
        externals=planned(plan.external.datasets),
        look=look(),
        code=code("study.py"),
    script:
        "../scripts/study.py"


rule page:
    input:
        labels=expand(
            "results/labels/{dataset}{table}.parquet",
            dataset=SHOWN["datasets"],
            table=["", ".audit", ".quarantine", ".frequencies", ".leaks"],
        ),
        cleaned=expand("results/labels/{dataset}.audit.parquet", dataset=asked(plan.page.bases)),
        proposals=expand("results/labels/{dataset}.proposals.csv", dataset=SHOWN["proposals"]),
        reports=expand(
            "results/reports/{corpus}{table}.parquet",
            corpus=SHOWN["corpora"],
            table=["", ".audit"],
        ),
        chunks=[
            "results/chunks/{encoder}/{corpus}{end}.parquet".format(**cut, end=end)
            for cut in SHOWN["chunks"]
            for end in ("", ".audit")
        ],
        embeddings=[
            "results/embeddings/{encoder}/{dataset}.images.parquet".format(**e)
            for e in SHOWN["embeddings"]
        ],
        texts=SHOWN["texts"],
        pairs=[
            f"{PAIRS}{end}".format(**pair)
            for pair in SHOWN["pairs"]
            for end in (".parquet", ".quality.json")
        ],
        histories=asked(plan.page.outputs, "history.parquet"),
        predictions=asked(plan.page.outputs, "predictions.parquet"),
        studies=expand(
            "results/studies/{study}{end}",
            study=asked(plan.entries.shown_studies),
            end=[*STUDY_TABLES, ".svg"],
        ),
    output:
        report("results/page.html", caption="../report/page.rst", category="Page"),
    log:
        "logs/page.txt",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        # How a training is computed changes no result, and so makes no page anew.
        config=asked(plan.page.config_shown),
        shown=SHOWN,
        look=look(),
        code=code("page.py"),
    script:
        "../scripts/page.py"
