# The tuning of a method's parameters, by name; nothing else reads it.
# Reads what the method's runs read; writes results/tunings/{tuning}.parquet, .best.yaml and .svg.
# Trials stay in results/.resume/, so that a larger budget goes on from a smaller one.


rule tune:
    input:
        unpack(planned(plan.tunings.artifacts)),
        encoders=planned(plan.tunings.encoder_files),
    output:
        "results/tunings/{tuning}.parquet",
    log:
        "logs/tune/{tuning}.txt",
    benchmark:
        "results/benchmarks/tune/{tuning}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=growing(4000),
        runtime="24h",
    params:
        tuning=planned(plan.tunings.entry),
        run=planned(plan.tunings.spec),
        code=code("tune.py", plan.tunings.modules, plan.fingerprint.AFTER_TRAINING),
    script:
        "../scripts/tune.py"


rule tuning_result:
    input:
        "results/tunings/{tuning}.parquet",
    output:
        best="results/tunings/{tuning}.best.yaml",
        svg=report(
            "results/tunings/{tuning}.svg", caption="../report/tuning.rst", category="Tunings"
        ),
    log:
        "logs/tuning_result/{tuning}.txt",
    benchmark:
        "results/benchmarks/tuning_result/{tuning}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        code=code("tuning_result.py"),
    script:
        "../scripts/tuning_result.py"
