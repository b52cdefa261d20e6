# Phantom: a synthetic world with known truth, in the formats of the real data sets.
# Reads nothing but config `phantom`; writes results/phantom/{name}/, name one of pcam, bach, nct-crc,
# quilt-1m, captions, tcga, synthetic (a second, weaker grammar of reports), grades (classes that are not entities) with
# grades-captions and reports of the tiles themselves, hospitals (colon tiles under other stains), lesions at known places, with
# masks in truth/lesions-masks, and cohort, patients with follow-up,
# whose features are embeddings of their tiles in the layouts of TRIDENT and CLAM,
# and the true attributes, results/phantom/truth/{name}.parquet.


rule phantom_pcam:
    output:
        train_x="results/phantom/pcam/camelyonpatch_level_2_split_train_x.h5",
        train_y="results/phantom/pcam/camelyonpatch_level_2_split_train_y.h5",
        train_meta="results/phantom/pcam/camelyonpatch_level_2_split_train_meta.csv",
        val_x="results/phantom/pcam/camelyonpatch_level_2_split_valid_x.h5",
        val_y="results/phantom/pcam/camelyonpatch_level_2_split_valid_y.h5",
        val_meta="results/phantom/pcam/camelyonpatch_level_2_split_valid_meta.csv",
        test_x="results/phantom/pcam/camelyonpatch_level_2_split_test_x.h5",
        test_y="results/phantom/pcam/camelyonpatch_level_2_split_test_y.h5",
        test_meta="results/phantom/pcam/camelyonpatch_level_2_split_test_meta.csv",
        truth="results/phantom/truth/pcam.parquet",
    log:
        "logs/phantom/pcam.txt",
    benchmark:
        "results/benchmarks/phantom/pcam.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        size=config["phantom"]["pcam"],
        seed=config["phantom"]["seed"],
        code=code("phantom_pcam.py"),
    script:
        "../scripts/phantom_pcam.py"


rule phantom_bach:
    output:
        photos=directory("results/phantom/bach/ICIAR2018_BACH_Challenge/Photos"),
        groups="results/phantom/bach/groups.csv",
        truth="results/phantom/truth/bach.parquet",
    log:
        "logs/phantom/bach.txt",
    benchmark:
        "results/benchmarks/phantom/bach.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        size=config["phantom"]["bach"],
        seed=config["phantom"]["seed"],
        code=code("phantom_bach.py"),
    script:
        "../scripts/phantom_bach.py"


rule phantom_nct_crc:
    output:
        train=directory("results/phantom/nct-crc/NCT-CRC-HE-100K"),
        test=directory("results/phantom/nct-crc/CRC-VAL-HE-7K"),
        groups="results/phantom/nct-crc/groups.csv",
        truth="results/phantom/truth/nct-crc.parquet",
    log:
        "logs/phantom/nct-crc.txt",
    benchmark:
        "results/benchmarks/phantom/nct-crc.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        size=config["phantom"]["nct-crc"],
        seed=config["phantom"]["seed"],
        code=code("phantom_nct_crc.py"),
    script:
        "../scripts/phantom_nct_crc.py"


rule phantom_quilt:
    output:
        lookup="results/phantom/quilt-1m/quilt_1M_lookup.csv",
        images=directory("results/phantom/quilt-1m/images"),
        truth="results/phantom/truth/quilt-1m.parquet",
    log:
        "logs/phantom/quilt-1m.txt",
    benchmark:
        "results/benchmarks/phantom/quilt-1m.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        size=config["phantom"]["quilt-1m"],
        seed=config["phantom"]["seed"],
        code=code("phantom_quilt.py"),
    script:
        "../scripts/phantom_quilt.py"


rule phantom_captions:
    output:
        lookup="results/phantom/captions/quilt_1M_lookup.csv",
        images=directory("results/phantom/captions/images"),
        truth="results/phantom/truth/captions.parquet",
    log:
        "logs/phantom/captions.txt",
    benchmark:
        "results/benchmarks/phantom/captions.tsv"
    # Encoders are trained on them.
    priority: 2
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        size=config["phantom"]["captions"],
        seed=config["phantom"]["seed"],
        code=code("phantom_captions.py"),
    script:
        "../scripts/phantom_captions.py"


rule phantom_tcga:
    output:
        reports="results/phantom/tcga/TCGA_Reports.csv",
        types="results/phantom/tcga/patient_to_cancer_type.csv",
        truth="results/phantom/truth/tcga.parquet",
    log:
        "logs/phantom/tcga.txt",
    benchmark:
        "results/benchmarks/phantom/tcga.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        size=config["phantom"]["tcga"],
        seed=config["phantom"]["seed"],
        code=code("phantom_tcga.py"),
    script:
        "../scripts/phantom_tcga.py"


rule phantom_synthetic:
    output:
        reports="results/phantom/synthetic/reports.csv",
        truth="results/phantom/truth/synthetic.parquet",
    log:
        "logs/phantom/synthetic.txt",
    benchmark:
        "results/benchmarks/phantom/synthetic.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        size=config["phantom"]["synthetic"],
        seed=config["phantom"]["seed"],
        code=code("phantom_synthetic.py"),
    script:
        "../scripts/phantom_synthetic.py"


rule phantom_grades:
    output:
        tiles=directory("results/phantom/grades/tiles"),
        labels="results/phantom/grades/labels.csv",
        truth="results/phantom/truth/grades.parquet",
        reports="results/phantom/grades/reports.csv",
        reports_truth="results/phantom/truth/grades-reports.parquet",
    log:
        "logs/phantom/grades.txt",
    benchmark:
        "results/benchmarks/phantom/grades.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        size=config["phantom"]["grades"],
        seed=config["phantom"]["seed"],
        code=code("phantom_grades.py"),
    script:
        "../scripts/phantom_grades.py"


rule phantom_own_reports:
    input:
        truth="results/phantom/truth/grades.parquet",
    output:
        reports="results/phantom/grades/own-reports.csv",
        truth="results/phantom/truth/grades-own-reports.parquet",
    log:
        "logs/phantom/own-reports.txt",
    benchmark:
        "results/benchmarks/phantom/own-reports.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        seed=config["phantom"]["seed"],
        code=code("phantom_own_reports.py"),
    script:
        "../scripts/phantom_own_reports.py"


rule phantom_grades_captions:
    output:
        images=directory("results/phantom/grades-captions/{pairs}"),
        table="results/phantom/grades-captions/{pairs}.csv",
    log:
        "logs/phantom/grades-captions/{pairs}.txt",
    benchmark:
        "results/benchmarks/phantom_grades_captions/{pairs}.tsv"
    wildcard_constraints:
        pairs="[0-9]+",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        size=config["phantom"]["grades"],
        seed=config["phantom"]["seed"],
        code=code("phantom_grades_captions.py"),
    script:
        "../scripts/phantom_grades_captions.py"


rule phantom_hospitals:
    output:
        tiles=directory("results/phantom/hospitals/tiles"),
        labels="results/phantom/hospitals/labels.csv",
        truth="results/phantom/truth/hospitals.parquet",
    log:
        "logs/phantom/hospitals.txt",
    benchmark:
        "results/benchmarks/phantom/hospitals.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        size=config["phantom"]["hospitals"],
        seed=config["phantom"]["seed"],
        code=code("phantom_hospitals.py"),
    script:
        "../scripts/phantom_hospitals.py"


rule phantom_lesions:
    output:
        tiles=directory("results/phantom/lesions/tiles"),
        masks=directory("results/phantom/truth/lesions-masks"),
        labels="results/phantom/lesions/labels.csv",
        truth="results/phantom/truth/lesions.parquet",
    log:
        "logs/phantom/lesions.txt",
    benchmark:
        "results/benchmarks/phantom/lesions.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        size=config["phantom"]["lesions"],
        seed=config["phantom"]["seed"],
        code=code("phantom_lesions.py"),
    script:
        "../scripts/phantom_lesions.py"


rule phantom_cohort:
    output:
        tiles=directory("results/phantom/cohort/tiles"),
        labels="results/phantom/cohort/labels.csv",
        clinical="results/phantom/cohort/clinical.csv",
        truth="results/phantom/truth/cohort.parquet",
    log:
        "logs/phantom/cohort.txt",
    benchmark:
        "results/benchmarks/phantom/cohort.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        size=config["phantom"]["cohort"],
        seed=config["phantom"]["seed"],
        code=code("phantom_cohort.py"),
    script:
        "../scripts/phantom_cohort.py"


rule phantom_features:
    input:
        embeddings="results/embeddings/{encoder}/{dataset}.images.parquet",
        labels="results/labels/{dataset}.parquet",
    output:
        directory("results/phantom/features/{layout}/{encoder}/{dataset}"),
    log:
        "logs/phantom/features/{layout}/{encoder}/{dataset}.txt",
    benchmark:
        "results/benchmarks/phantom/features/{layout}/{encoder}/{dataset}.tsv"
    wildcard_constraints:
        layout="trident|clam",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        runtime="1h",
    params:
        code=code("phantom_features.py"),
    script:
        "../scripts/phantom_features.py"
