# Snakemake alone: jobs, files and settings as planning.py's study has them, but plain strings and no code of ours.

CELLS = range(4)
METHODS = [f"method-{number}" for number in range(config["models"])]
SEEDS = range(config["seeds"])
CELL = "{dataset}/{encoder}/{method}"
RUN = f"results/runs/{CELL}/{{seed}}"
NAMES = {
    "dataset": [f"data-{number}" for number in CELLS],
    "encoder": [f"encoder-{number}" for number in CELLS],
    "method": METHODS,
}


wildcard_constraints:
    dataset="|".join(NAMES["dataset"]),
    encoder="|".join(NAMES["encoder"]),
    method="|".join(METHODS),
    seed=r"\d+",


rule page:
    input:
        "results/studies/all.csv",
    output:
        "results/page.html",
    shell:
        "true"


rule study:
    input:
        predictions=expand(f"{RUN}/predictions.parquet", **NAMES, seed=SEEDS),
        scores=expand(f"results/scores/all/{CELL}.json", **NAMES),
    output:
        "results/studies/all.csv",
    shell:
        "true"


rule score:
    input:
        predictions=expand(f"{RUN}/predictions.parquet", seed=SEEDS, allow_missing=True),
        histories=expand(f"{RUN}/history.parquet", seed=SEEDS, allow_missing=True),
    output:
        f"results/scores/all/{CELL}.json",
    log:
        f"logs/score/{CELL}.txt",
    benchmark:
        f"results/benchmarks/score/{CELL}.tsv"
    params:
        code="0123456789abcdef",
    script:
        "planning.py"


rule run:
    input:
        labels="results/labels/{dataset}.parquet",
        reports="results/chunks/reports.parquet",
        pairs="results/pairs/{dataset}.parquet",
        encoders=["encoder-0"],
    output:
        weights=f"{RUN}/weights.safetensors",
        history=f"{RUN}/history.parquet",
        predictions=f"{RUN}/predictions.parquet",
    log:
        f"logs/runs/{CELL}/{{seed}}.txt",
    benchmark:
        f"results/benchmarks/run/{CELL}/{{seed}}.tsv"
    threads: 1
    resources:
        gpu=0,
        mem_mb=5500,
        runtime="12h",
    params:
        code="0123456789abcdef",
    script:
        "planning.py"


rule table:
    output:
        "results/{kind}/{name}.parquet",
    wildcard_constraints:
        kind="labels|chunks|pairs",
        name="[a-z0-9-]+",
    shell:
        "true"
