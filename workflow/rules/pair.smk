# Pairing: the most similar reports of every image.
# Reads results/embeddings/{encoder}/; writes results/pairs/{encoder}/{dataset}.{corpus}.parquet and,
# corrected for hubs by the images of the train split, {dataset}.{corpus}.csls.parquet and the like.
# "oracle" pairs by the true attributes of the phantom, as an anchor for what pairing can give.


rule pair:
    input:
        unpack(planned(plan.pairs.train_split)),
        images=planned(plan.pairs.images),
        texts="results/embeddings/{encoder}/{corpus}.texts.parquet",
        parts=ancient(planned(plan.parts.pairs)),
    output:
        f"{PAIRS}.parquet",
    log:
        "logs/pairs/{encoder}/{dataset}.{corpus}{correction}.txt",
    benchmark:
        "results/benchmarks/pair/{encoder}/{dataset}.{corpus}{correction}.tsv"
    wildcard_constraints:
        encoder=pattern(config["encoders"]),
    conda:
        "../../envs/faiss.yaml" if not config["gpu"] else "../../envs/faiss-gpu.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=growing(4000),
        runtime="1h",
    params:
        retrieval=planned(plan.pairs.settings),
        gpu=bool(config["gpu"]),
        code=code("pair.py", plan.pairs.modules),
    script:
        "../scripts/pair.py"


rule pair_oracle:
    input:
        labels="results/labels/{dataset}.parquet",
        reports="results/reports/{corpus}.parquet",
        dataset_truth=planned(plan.pairs.dataset_truth),
        corpus_truth=planned(plan.pairs.corpus_truth),
    output:
        "results/pairs/oracle/{dataset}.{corpus}.parquet",
    log:
        "logs/pairs/oracle/{dataset}.{corpus}.txt",
    benchmark:
        "results/benchmarks/pair_oracle/{dataset}.{corpus}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        runtime="1h",
    params:
        k=config["retrieval"]["k"],
        code=code("pair_oracle.py"),
    script:
        "../scripts/pair_oracle.py"
