# Pairing: the most similar reports of every image.
# Reads results/embeddings/{encoder}/; writes results/pairs/{encoder}/{dataset}.{corpus}.parquet.
# "oracle" pairs by the true attributes of the phantom, as an anchor for what pairing can give.


rule pair:
    input:
        images="results/embeddings/{encoder}/{dataset}.images.parquet",
        texts="results/embeddings/{encoder}/{corpus}.texts.parquet",
    output:
        "results/pairs/{encoder}/{dataset}.{corpus}.parquet",
    log:
        "logs/pairs/{encoder}/{dataset}.{corpus}.txt",
    benchmark:
        "results/benchmarks/pair/{encoder}/{dataset}.{corpus}.tsv"
    wildcard_constraints:
        encoder="|".join(config["encoders"]),
    conda:
        "../../envs/faiss.yaml"
    threads: 2
    resources:
        mem_mb=4000,
    params:
        retrieval=config["retrieval"],
        code=code("pair.py"),
    script:
        "../scripts/pair.py"


rule pair_oracle:
    input:
        labels="results/labels/{dataset}.parquet",
        reports="results/reports/{corpus}.parquet",
        dataset_truth=lambda w: config["datasets"][w.dataset]["truth"],
        corpus_truth=lambda w: config["corpora"][w.corpus]["truth"],
    output:
        "results/pairs/oracle/{dataset}.{corpus}.parquet",
    log:
        "logs/pairs/oracle/{dataset}.{corpus}.txt",
    benchmark:
        "results/benchmarks/pair_oracle/{dataset}.{corpus}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        k=config["retrieval"]["k"],
        code=code("pair_oracle.py"),
    script:
        "../scripts/pair_oracle.py"
