# Parts of long jobs, where `embedding.jobs` asks for them: each makes some shards of what one job joins.
# Reads what the joining rule reads; writes shards in results/.shards/ and, while they are waited for,
# results/.parts/{what the joining job writes}/{part}-of-{jobs}. No other rule reads parts.
# The joining rule takes them as ancient: what reruns it reruns them, too.

from snakemake.persistence import PersistenceBase

from histopair.jobs.share import FOLDER

# How many parts a result was made in is nothing to rerun it for. No option of Snakemake says so.
PersistenceBase._input = lambda self, job, of=PersistenceBase._input: [
    path for path in of(self, job) if FOLDER not in path
]


use rule embed_images as embed_images_part with:
    input:
        labels="results/labels/{dataset}.parquet",
        encoder=planned(plan.encoders.files),
    output:
        temp(touch(f"{FOLDER}/{rules.embed_images.output[0]}/{{part}}-of-{{jobs}}")),
    log:
        "logs/embeddings/{encoder}/{dataset}.images.{part}-of-{jobs}.txt",
    benchmark:
        "results/benchmarks/embed_images_part/{encoder}/{dataset}.{part}-of-{jobs}.tsv"


use rule embed_captions as embed_captions_part with:
    input:
        labels="results/labels/{dataset}.parquet",
        encoder=planned(plan.encoders.files),
    output:
        temp(touch(f"{FOLDER}/{rules.embed_captions.output[0]}/{{part}}-of-{{jobs}}")),
    log:
        "logs/embeddings/{encoder}/{dataset}.captions.{part}-of-{jobs}.txt",
    benchmark:
        "results/benchmarks/embed_captions_part/{encoder}/{dataset}.{part}-of-{jobs}.tsv"


use rule cache_activations as cache_activations_part with:
    input:
        labels="results/labels/{dataset}.parquet",
        encoder=planned(plan.encoders.files),
    output:
        temp(touch(f"{FOLDER}/{rules.cache_activations.output[0]}/{{part}}-of-{{jobs}}")),
    log:
        "logs/activations/{encoder}/{dataset}.{kind}.{blocks}.{part}-of-{jobs}.txt",
    benchmark:
        "results/benchmarks/cache_activations_part/{encoder}/{dataset}.{kind}.{blocks}.{part}-of-{jobs}.tsv"


use rule pair as pair_part with:
    input:
        images=planned(plan.pairs.images),
        texts="results/embeddings/{encoder}/{corpus}.texts.parquet",
    output:
        temp(touch(f"{FOLDER}/{PAIRS}.parquet/{{part}}-of-{{jobs}}")),
    log:
        "logs/pairs/{encoder}/{dataset}.{corpus}{correction}.{part}-of-{jobs}.txt",
    benchmark:
        "results/benchmarks/pair_part/{encoder}/{dataset}.{corpus}{correction}.{part}-of-{jobs}.tsv"
