# Runs: one dataset, encoder, method and seed each.
# Reads what the method's NEEDS name, so that methods without text never wait for pairs;
# writes results/runs/{dataset}/{encoder}/{method}/{seed}/.


def method_of(w):
    return config["methods"][w.method]


def needs(w):
    return configuration.needs(method_of(w)["recipe"])


def run_artifacts(w):
    """Path of each artifact that the method reads, by its name in NEEDS; `labels` always."""
    data, method = base(w.dataset), method_of(w)
    source = configuration.pairing_source(method)
    corpus = configuration.corpus_of(config, w.dataset, method)
    embeddings = f"results/embeddings/{w.encoder}/{data}"
    known = {
        "image_embeddings": f"{embeddings}.images.parquet",
        "caption_embeddings": f"{embeddings}.captions.parquet",
        "prompt_embeddings": f"{embeddings}.prompts.parquet",
        "reports": f"results/reports/{corpus}.parquet",
    }
    if source:
        known["pairs"] = f"results/pairs/{source}/{data}.{corpus}.parquet"
    wanted = {name: known[name] for name in needs(w) if name in known}
    return {"labels": f"results/labels/{w.dataset}.parquet", **wanted}


def run_encoders(w):
    """Weights on disk of the encoders that the method adapts."""
    encoders = [w.encoder] if "images" in needs(w) else []
    encoders += [method_of(w)["retriever"]] if "pairs" in needs(w) else []
    return [file for encoder in encoders for file in encoder_files(encoder)]


rule run:
    input:
        unpack(run_artifacts),
        encoders=run_encoders,
    output:
        weights="results/runs/{dataset}/{encoder}/{method}/{seed}/weights.safetensors",
        history="results/runs/{dataset}/{encoder}/{method}/{seed}/history.parquet",
        predictions="results/runs/{dataset}/{encoder}/{method}/{seed}/predictions.parquet",
    log:
        "logs/runs/{dataset}/{encoder}/{method}/{seed}.txt",
    benchmark:
        "results/benchmarks/run/{dataset}/{encoder}/{method}/{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
        runtime="12h",
    params:
        root=lambda w: dataset_entry(w.dataset)["root"],
        encoder=lambda w: encoder_params(w.encoder),
        retriever=lambda w: (
            encoder_params(method_of(w)["retriever"]) if "pairs" in needs(w) else None
        ),
        method=method_of,
        code=lambda w: code(
            "run.py",
            f"histopair.methods.{method_of(w)['recipe']}",
            encoder_code(w.encoder),
            *([encoder_code(method_of(w)["retriever"])] if "pairs" in needs(w) else []),
        ),
    script:
        "../scripts/run.py"
