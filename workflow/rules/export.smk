# Exports: a finished run as one folder that predicts on its own (histopair/export says what is in it).
# Reads a run's weights, predictions and metrics, its labels and the encoders that it predicts with;
# writes results/exports/{dataset}/{encoder}/{method}/{seed}/. Nothing asks for it but you, by name.


rule export:
    input:
        unpack(exported_artifacts),
        weights=f"{RUN}/weights.safetensors",
        predictions=f"{RUN}/predictions.parquet",
        metrics=f"{RUN}/metrics.json",
        encoders=exported_encoders,
    output:
        directory("results/exports/{dataset}/{encoder}/{method}/{seed}"),
    log:
        "logs/exports/{dataset}/{encoder}/{method}/{seed}.txt",
    benchmark:
        "results/benchmarks/export/{dataset}/{encoder}/{method}/{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=8000,
    params:
        root=lambda w: dataset_entry(w.dataset)["root"],
        encoder=lambda w: encoder_params(w.encoder),
        text_encoder=lambda w: encoder_params(text_encoder(w)) if reads_notes(w) else None,
        method=method_of,
        described=described,
        code=lambda w: code("export.py", *predicting_code(w)),
    script:
        "../scripts/export.py"
