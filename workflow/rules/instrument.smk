# The instrument, by name: how often claims hold on simulated studies, with a gain and without one.
# Reads nothing; writes results/instrument.csv, .svg and .html.


rule instrument:
    output:
        table="results/instrument.csv",
        svg="results/instrument.svg",
        html="results/instrument.html",
    log:
        "logs/instrument.txt",
    benchmark:
        "results/benchmarks/instrument.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        code=code("instrument.py"),
    script:
        "../scripts/instrument.py"
