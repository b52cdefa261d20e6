# Runs: one dataset, encoder, method and seed each.
# Reads what the method's NEEDS name, so that methods without text never wait for pairs;
# writes results/runs/{dataset}/{encoder}/{method}/{seed}/. How a run is computed (`training` in the
# config) is no param: it reruns nothing.


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
    threads: config["training"]["processes"]
    resources:
        gpu=config["gpu"] * config["training"]["processes"],
        mem_mb=4000 * config["training"]["processes"],
        runtime="12h",
    params:
        root=lambda w: run_params(w)["root"],
        encoder=lambda w: run_params(w)["encoder"],
        retriever=lambda w: run_params(w)["retriever"],
        text_encoder=lambda w: run_params(w)["text_encoder"],
        method=method_of,
        code=lambda w: code("run.py", *run_modules(w)),
    script:
        "../scripts/run.py"
