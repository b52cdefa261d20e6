# Encoders, the chunks of reports that each reads whole, and cached embeddings.
# Reads labels and reports; writes results/encoders/{encoder}/ for encoders that are trained
# here, results/chunks/{encoder}/{corpus}.parquet, .audit.parquet (cut by the encoder's own
# tokenizer), and results/embeddings/{encoder}/*.parquet. Their shards stay in results/.shards/, so that a
# change of labels alone embeds nothing again. Images are read where the labels table says; it holds
# their sha256, and so stands for them as input.


rule train_encoder:
    input:
        labels=planned(plan.encoders.training_labels),
        reports=planned(plan.encoders.training_texts),
        towers=planned(plan.encoders.tower_files),
    output:
        directory("results/encoders/{encoder}"),
    log:
        "logs/encoders/{encoder}.txt",
    benchmark:
        "results/benchmarks/train_encoder/{encoder}.tsv"
    # The longest jobs, and nearly all others wait for them.
    priority: 2
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=growing(5500),
        runtime="4h",
    params:
        train=planned(plan.encoders.training),
        root=planned(plan.encoders.training_root),
        towers=planned(plan.encoders.tower_entries),
        code=code("train_encoder.py", plan.encoders.training_modules),
    script:
        "../scripts/train_encoder.py"


rule chunk_reports:
    input:
        reports="results/reports/{corpus}.parquet",
        encoder=planned(plan.encoders.files),
    output:
        chunks="results/chunks/{encoder}/{corpus}.parquet",
        audit="results/chunks/{encoder}/{corpus}.audit.parquet",
    log:
        "logs/chunks/{encoder}/{corpus}.txt",
    benchmark:
        "results/benchmarks/chunk_reports/{encoder}/{corpus}.tsv"
    wildcard_constraints:
        encoder=pattern(config["encoders"]),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime="1h",
    params:
        entry=planned(plan.encoders.chunking),
        encoder=planned(plan.encoders.tokenizing),
        code=code("chunk_reports.py", plan.encoders.modules),
    script:
        "../scripts/chunk_reports.py"


rule embed_images:
    input:
        labels="results/labels/{dataset}.parquet",
        encoder=planned(plan.encoders.files),
        parts=ancient(planned(plan.parts.images)),
    output:
        "results/embeddings/{encoder}/{dataset}.images.parquet",
    log:
        "logs/embeddings/{encoder}/{dataset}.images.txt",
    benchmark:
        "results/benchmarks/embed_images/{encoder}/{dataset}.tsv"
    wildcard_constraints:
        dataset=pattern(asked(plan.data.images)),
    conda:
        "../../envs/torch.yaml"
    # On a CPU one-thread jobs side by side beat one job on all; a GPU wants its images decoded.
    threads: 8 if config["gpu"] else 1
    resources:
        gpu=config["gpu"],
        mem_mb=growing(5500),
        runtime="8h",
    params:
        root=planned(plan.encoders.root),
        encoder=planned(plan.encoders.entry),
        embedding=asked(plan.encoders.embedding),
        code=code("embed_images.py", plan.encoders.modules),
    script:
        "../scripts/embed_images.py"


rule embed_bags:
    input:
        labels="results/labels/{dataset}.parquet",
        features=planned(plan.data.bag_features),
    output:
        "results/embeddings/{encoder}/{dataset}.images.parquet",
    log:
        "logs/embeddings/{encoder}/{dataset}.images.txt",
    benchmark:
        "results/benchmarks/embed_bags/{encoder}/{dataset}.tsv"
    wildcard_constraints:
        dataset=pattern(asked(plan.data.bags)),
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        runtime="4h",
    params:
        code=code("embed_bags.py"),
    script:
        "../scripts/embed_bags.py"


rule embed_captions:
    input:
        labels="results/labels/{dataset}.parquet",
        encoder=planned(plan.encoders.files),
        parts=ancient(planned(plan.parts.captions)),
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
        mem_mb=growing(4000),
        runtime="4h",
    params:
        encoder=planned(plan.encoders.entry),
        embedding=asked(plan.encoders.embedding),
        code=code("embed_captions.py", plan.encoders.modules),
    script:
        "../scripts/embed_captions.py"


rule embed_prompts:
    input:
        labels="results/labels/{dataset}.parquet",
        encoder=planned(plan.encoders.files),
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
        mem_mb=growing(4000),
        runtime="1h",
    params:
        encoder=planned(plan.encoders.entry),
        templates=planned(plan.encoders.templates),
        embedding=asked(plan.encoders.embedding),
        code=code("embed_prompts.py", plan.encoders.modules),
    script:
        "../scripts/embed_prompts.py"


rule embed_texts:
    input:
        chunks="results/chunks/{encoder}/{corpus}.parquet",
        encoder=planned(plan.encoders.files),
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
        mem_mb=growing(4000),
        runtime="4h",
    params:
        encoder=planned(plan.encoders.entry),
        embedding=asked(plan.encoders.embedding),
        code=code("embed_texts.py", plan.encoders.modules),
    script:
        "../scripts/embed_texts.py"


rule embed_labels:
    input:
        published=planned(plan.data.unmapped_files),
        encoder=planned(plan.encoders.files),
    output:
        "results/embeddings/{encoder}/{dataset}.labels.parquet",
    log:
        "logs/embeddings/{encoder}/{dataset}.labels.txt",
    benchmark:
        "results/benchmarks/embed_labels/{encoder}/{dataset}.tsv"
    wildcard_constraints:
        dataset=pattern(asked(plan.data.sources)),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=growing(4000),
        runtime="1h",
    params:
        entry=planned(plan.data.reading),
        given=planned(plan.data.unmapped_content),
        encoder=planned(plan.encoders.entry),
        embedding=asked(plan.encoders.embedding),
        code=code("embed_labels.py", plan.encoders.labels_modules),
    script:
        "../scripts/embed_labels.py"
