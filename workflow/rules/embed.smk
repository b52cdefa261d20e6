# Encoders, the chunks of reports that each reads whole, and cached embeddings.
# Reads labels and reports; writes results/encoders/{encoder}/ for encoders that are trained
# here, results/chunks/{encoder}/{corpus}.parquet, .audit.parquet (cut by the encoder's own
# tokenizer), and results/embeddings/{encoder}/*.parquet. Their shards stay in results/.shards/, so that a
# change of labels alone embeds nothing again. Images are read where the labels table says; it holds
# their sha256, and so stands for them as input.


rule train_encoder:
    input:
        labels=lambda w: f"results/labels/{train_of(w.encoder)['dataset']}.parquet",
        reports=training_texts,
        towers=lambda w: [
            file
            for tower in train_of(w.encoder).get("towers", {}).values()
            for file in encoder_files(tower)
        ],
    output:
        directory("results/encoders/{encoder}"),
    log:
        "logs/encoders/{encoder}.txt",
    benchmark:
        "results/benchmarks/train_encoder/{encoder}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
        runtime="4h",
    params:
        train=lambda w: train_of(w.encoder),
        root=lambda w: dataset_entry(train_of(w.encoder)["dataset"])["root"],
        towers=lambda w: {
            kind: encoder_params(tower)
            for kind, tower in train_of(w.encoder).get("towers", {}).items()
        },
        code=lambda w: code(
            "train_encoder.py",
            f"histopair.pretrain.{train_of(w.encoder)['kind']}",
            *[encoder_code(tower) for tower in train_of(w.encoder).get("towers", {}).values()],
        ),
    script:
        "../scripts/train_encoder.py"


rule chunk_reports:
    input:
        reports="results/reports/{corpus}.parquet",
        encoder=lambda w: encoder_files(w.encoder),
    output:
        chunks="results/chunks/{encoder}/{corpus}.parquet",
        audit="results/chunks/{encoder}/{corpus}.audit.parquet",
    log:
        "logs/chunks/{encoder}/{corpus}.txt",
    benchmark:
        "results/benchmarks/chunk_reports/{encoder}/{corpus}.tsv"
    wildcard_constraints:
        encoder="|".join(config["encoders"]),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        entry=lambda w: chunking(w.corpus),
        encoder=lambda w: tokenizing(w.encoder),
        code=lambda w: code("chunk_reports.py", encoder_code(w.encoder)),
    script:
        "../scripts/chunk_reports.py"


rule embed_images:
    input:
        labels="results/labels/{dataset}.parquet",
        encoder=lambda w: encoder_files(w.encoder),
    output:
        "results/embeddings/{encoder}/{dataset}.images.parquet",
    log:
        "logs/embeddings/{encoder}/{dataset}.images.txt",
    benchmark:
        "results/benchmarks/embed_images/{encoder}/{dataset}.tsv"
    conda:
        "../../envs/torch.yaml"
    # On a CPU one-thread jobs side by side beat one job on all; a GPU wants its images decoded.
    threads: 8 if config["gpu"] else 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
        runtime="8h",
    params:
        root=lambda w: dataset_entry(w.dataset)["root"],
        encoder=lambda w: encoder_params(w.encoder),
        embedding=config["embedding"],
        code=lambda w: code("embed_images.py", encoder_code(w.encoder)),
    script:
        "../scripts/embed_images.py"


rule embed_captions:
    input:
        labels="results/labels/{dataset}.parquet",
        encoder=lambda w: encoder_files(w.encoder),
    output:
        "results/embeddings/{encoder}/{dataset}.captions.parquet",
    log:
        "logs/embeddings/{encoder}/{dataset}.captions.txt",
    benchmark:
        "results/benchmarks/embed_captions/{encoder}/{dataset}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
        runtime="4h",
    params:
        encoder=lambda w: encoder_params(w.encoder),
        embedding=config["embedding"],
        code=lambda w: code("embed_captions.py", encoder_code(w.encoder)),
    script:
        "../scripts/embed_captions.py"


rule embed_prompts:
    input:
        labels="results/labels/{dataset}.parquet",
        encoder=lambda w: encoder_files(w.encoder),
    output:
        "results/embeddings/{encoder}/{dataset}.prompts.parquet",
    log:
        "logs/embeddings/{encoder}/{dataset}.prompts.txt",
    benchmark:
        "results/benchmarks/embed_prompts/{encoder}/{dataset}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
    params:
        encoder=lambda w: encoder_params(w.encoder),
        templates=lambda w: config["encoders"][w.encoder]["templates"],
        embedding=config["embedding"],
        code=lambda w: code("embed_prompts.py", encoder_code(w.encoder)),
    script:
        "../scripts/embed_prompts.py"


rule embed_texts:
    input:
        chunks="results/chunks/{encoder}/{corpus}.parquet",
        encoder=lambda w: encoder_files(w.encoder),
    output:
        "results/embeddings/{encoder}/{corpus}.texts.parquet",
    log:
        "logs/embeddings/{encoder}/{corpus}.texts.txt",
    benchmark:
        "results/benchmarks/embed_texts/{encoder}/{corpus}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
        runtime="4h",
    params:
        encoder=lambda w: encoder_params(w.encoder),
        embedding=config["embedding"],
        code=lambda w: code("embed_texts.py", encoder_code(w.encoder)),
    script:
        "../scripts/embed_texts.py"


rule embed_labels:
    input:
        published=lambda w: published(reading(config["datasets"][w.dataset])),
        encoder=lambda w: encoder_files(w.encoder),
    output:
        "results/embeddings/{encoder}/{dataset}.labels.parquet",
    log:
        "logs/embeddings/{encoder}/{dataset}.labels.txt",
    benchmark:
        "results/benchmarks/embed_labels/{encoder}/{dataset}.tsv"
    wildcard_constraints:
        dataset=any_of(SOURCES),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
    params:
        entry=lambda w: reading(config["datasets"][w.dataset]),
        encoder=lambda w: encoder_params(w.encoder),
        embedding=config["embedding"],
        code=lambda w: code(
            "embed_labels.py",
            encoder_code(w.encoder),
            f"histopair.readers.{config['datasets'][w.dataset]['reader']}",
        ),
    script:
        "../scripts/embed_labels.py"
