# Searches for a method's parameters, by name; nothing else reads them.
# Reads what the method's runs read; writes results/searches/{search}.parquet, .best.yaml and .svg.
# Trials stay in results/.resume/, so that a larger budget goes on from a smaller one.


rule search:
    input:
        unpack(planned(plan.searches.artifacts)),
        encoders=planned(plan.searches.encoder_files),
    output:
        "results/searches/{search}.parquet",
    log:
        "logs/searches/{search}.txt",
    benchmark:
        "results/benchmarks/search/{search}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=config["gpu"],
        mem_mb=4000,
        runtime="24h",
    params:
        search=planned(plan.searches.entry),
        run=planned(plan.searches.spec),
        code=code("search.py", plan.searches.modules, plan.fingerprint.AFTER_TRAINING),
    script:
        "../scripts/search.py"


rule search_result:
    input:
        "results/searches/{search}.parquet",
    output:
        best="results/searches/{search}.best.yaml",
        svg=report(
            "results/searches/{search}.svg", caption="../report/search.rst", category="Searches"
        ),
    log:
        "logs/searches/{search}.result.txt",
    benchmark:
        "results/benchmarks/search_result/{search}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        code=code("search_result.py"),
    script:
        "../scripts/search_result.py"
