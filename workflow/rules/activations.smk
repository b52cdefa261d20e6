# Activations of frozen blocks, from which methods that train a tower's last blocks take their steps.
# Reads labels, the images that they name and encoders;
# writes results/activations/{encoder}/{dataset}.{images,captions}.{blocks}/, with several turns of
# each image {blocks}x{turns}. Finished shards stay in results/.shards/, so that a change of labels
# alone computes nothing again. Where there is no room for them, the folder says why, and nothing else.


rule cache_activations:
    input:
        labels="results/labels/{dataset}.parquet",
        encoder=planned(plan.encoders.files),
        parts=ancient(planned(plan.parts.activations)),
    output:
        directory("results/activations/{encoder}/{dataset}.{kind}.{blocks}"),
    log:
        "logs/activations/{encoder}/{dataset}.{kind}.{blocks}.txt",
    benchmark:
        "results/benchmarks/cache_activations/{encoder}/{dataset}.{kind}.{blocks}.tsv"
    wildcard_constraints:
        kind="images|captions",
        blocks=r"\d+(x\d+)?",
    conda:
        "../../envs/torch.yaml"
    # As for embed_images.
    threads: 8 if config["gpu"] else 1
    resources:
        gpu=config["gpu"],
        mem_mb=growing(5500),
        runtime="12h",
    params:
        root=planned(plan.encoders.root),
        encoder=planned(plan.encoders.entry),
        activations=config["activations"],
        code=code("cache_activations.py", plan.encoders.modules),
    script:
        "../scripts/cache_activations.py"
