"""A miniature results/ tree of the artifacts that the page reads, for tests without training."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
from PIL import Image

from histopair.datasets import leaks
from histopair.evaluation import score, study_tables
from histopair.evaluation.tasks.labelled import truth_matrix
from histopair.files import tables
from histopair.pages import study_page
from histopair.plan import studies as plan_studies
from histopair.retrieval import pairing_quality

CRC = ["adipose", "lymphocytes", "mucus", "stroma", "tumour"]
QUILT = ["breast", "cytology", "dermatology", "gastrointestinal", "renal", "soft tissue"]
METHODS = {
    "linear-head": 0.9,
    "lora": 1.5,
    "clip-it-random": 1.5,
    "clip-it": 2.0,
    "clip-it-oracle": 2.6,
}
MULTI_METHODS = {"zero-shot": 0.4, "fusion-frozen": 2.5}
SEEDS = (0, 1, 2)
PUBLISHED = Path(__file__).parents[1] / "config/published/multilabel.csv"
TINTS = {"adipose": 245, "lymphocytes": 120, "mucus": 215, "stroma": 190, "tumour": 150}
PHRASES = {
    "adipose": "mature adipose tissue without atypia",
    "lymphocytes": "dense lymphocytic infiltrate, no tumour seen",
    "mucus": "abundant extracellular mucin with few cells",
    "stroma": "fibrous stroma with spindle cells",
    "tumour": "invasive adenocarcinoma, moderately differentiated",
}


def make(root: Path, tiles_per_class: int = 24) -> dict:
    """Write the tree under `root`/results, up to the runs' metrics; return its config."""
    random = np.random.default_rng(7)
    config = _config()
    crc = _crc(root, tiles_per_class, random)
    quilt = _quilt(root, random)
    reports = _reports(root, random)
    _pairs(root, "phantom-clip", crc, reports, 6, random)
    _pairs(root, "oracle", crc, reports, 60, random)
    _pairs(root, "phantom-clip", crc, reports, 6, np.random.default_rng(8), ".csls")
    for encoder, dataset in (("phantom-clip", "phantom-crc"), ("phantom-vit", "phantom-crc")):
        _embeddings(root, encoder, dataset, crc, random)
    for method, skill in METHODS.items():
        for seed in SEEDS:
            _run(root, "phantom-crc", "phantom-vit", method, seed, crc, CRC, skill, "single")
    for dataset, table in quilt.items():
        bonus = 0.8 if dataset.endswith("random") else 0.0
        for method, skill in MULTI_METHODS.items():
            for seed in SEEDS if method != "zero-shot" else (0,):
                skilled = skill + (bonus if method != "zero-shot" else 0)
                _run(root, dataset, "phantom-clip", method, seed, table, QUILT, skilled, "multi")
    _benchmarks(root, random)
    return config


def runs(root: Path, study: dict) -> list[dict]:
    """The runs of a study with their paths, as rules/study.smk gives them."""
    found = []
    for dataset in study["datasets"]:
        for encoder in study["encoders"]:
            for method in study["methods"]:
                seeds = study["seeds"] if method != "zero-shot" else [0]
                for seed in seeds:
                    key = {"dataset": dataset, "encoder": encoder, "method": method, "seed": seed}
                    folder = run_folder(root, **key)
                    paths = {
                        "predictions": folder / "predictions.parquet",
                        "metrics": folder / "metrics.json",
                        "history": folder / "history.parquet",
                    }
                    found.append(key | paths)
    return found


def finish(root: Path, config: dict) -> dict:
    """Write pairing quality and studies from the tree; return the names that the page shows."""
    results = root / "results"
    pairs = [
        {"encoder": encoder, "dataset": "phantom-crc", "corpus": "phantom-tcga-colon"}
        | {"correction": correction}
        for encoder, correction in (("phantom-clip", ""), ("oracle", ""), ("phantom-clip", ".csls"))
    ]
    for pair in pairs:
        base = results / "pairs/{encoder}/{dataset}.{corpus}{correction}".format(**pair)
        pairing_quality.write_quality(
            f"{base}.parquet",
            results / "labels/phantom-crc.parquet",
            results / "chunks/phantom-clip/phantom-tcga-colon.parquet",
            f"{base}.quality.json",
            image_truth=results / "phantom/truth/nct-crc.parquet",
            report_truth=results / "phantom/truth/tcga-colon.parquet",
        )
    for name, study in config["studies"].items():
        paths = study_files(results / "studies", name)
        labels = {d: results / f"labels/{d}.parquet" for d in study["datasets"]}
        study = study | {"synthetic": study["datasets"], "splits": splits(config, study)}
        study_page.write_study(runs(root, study), labels, name, study, paths)
    keys = ("dataset", "encoder", "method", "seed")
    return {
        "datasets": list(config["datasets"]),
        "corpora": list(config["corpora"]),
        "chunks": [{"encoder": "phantom-clip", "corpus": "phantom-tcga-colon"}],
        "texts": ["results/embeddings/phantom-clip/phantom-crc.prompts.parquet"],
        "encoders": list(config["encoders"]),
        "embeddings": [
            {"encoder": encoder, "dataset": "phantom-crc"} for encoder in config["encoders"]
        ],
        "pairs": pairs,
        "runs": {
            name: [{key: run[key] for key in keys} for run in runs(root, study)]
            for name, study in config["studies"].items()
        },
    }


def splits(config: dict, study: dict) -> dict:
    """How each dataset of a study is split."""
    return {name: plan_studies.split(config, name) for name in study["datasets"]}


def study_files(folder: Path, name: str) -> SimpleNamespace:
    """Where a study's tables, plot and page go, as rules/study.smk says it."""
    paths = {table: folder / study_tables.file(name, table) for table in study_tables.TABLES}
    return SimpleNamespace(svg=folder / f"{name}.svg", html=folder / f"{name}.html", **paths)


def run_folder(root: Path, dataset: str, encoder: str, method: str, seed: int) -> Path:
    return root / "results/runs" / dataset / encoder / method / str(seed)


def about(rule: str, **more) -> dict:
    return {
        "rule": rule,
        "wildcards": {},
        "params": {},
        "code": "0123456789abcdef",
        "versions": {"python": "3.11.2", "torch": "2.0"},
    } | more


def _config() -> dict:
    split = {"by": "group", "test": 0.2, "val": 0.1, "seed": 0}
    return {
        "title": "histopair on the phantom",
        "datasets": {
            "phantom-crc": {
                "reader": "nct_crc",
                "root": "results/phantom/nct-crc",
                "corpus": "phantom-tcga-colon",
                "truth": "results/phantom/truth/nct-crc.parquet",
                "synthetic": True,
                "description": "Rendered colorectal tiles",
                "licence": "CC0-1.0",
                "split": split,
                "match": {"tumour": "carcinoma", "mucus": "mucin"},
            },
            "phantom-quilt": {
                "reader": "quilt",
                "root": "results/phantom/quilt",
                "synthetic": True,
                "description": "Rendered tiles with captions, several labels each",
                "licence": "CC0-1.0",
                "split": split,
            },
            "phantom-quilt-random": {
                "of": "phantom-quilt",
                "split": split | {"by": "row"},
                "synthetic": False,
            },
        },
        "corpora": {
            "phantom-tcga-colon": {
                "reader": "tcga",
                "table": "results/phantom/tcga/TCGA_Reports.csv",
                "organ": "colon",
                "truth": "results/phantom/truth/tcga-colon.parquet",
                "description": "Reports of other virtual patients",
                "licence": "CC0-1.0",
            }
        },
        "encoders": {
            "phantom-clip": {
                "library": "open_clip",
                "model": "local-dir:results/encoders/phantom-clip",
                "licence": "Apache-2.0",
                "description": "Small CLIP trained on phantom captions",
            },
            "phantom-vit": {
                "library": "timm",
                "model": "local-dir:results/encoders/phantom-vit",
                "licence": "Apache-2.0",
                "description": "Small vision transformer",
            },
        },
        "methods": {name: {"recipe": name} for name in METHODS | MULTI_METHODS},
        "studies": {
            "clip-it": {
                "title": "Does unpaired text help?",
                "datasets": ["phantom-crc"],
                "encoders": ["phantom-vit"],
                "methods": list(METHODS),
                "seeds": list(SEEDS),
                "metric": "balanced_accuracy",
                "reference": "lora",
                "order": ["clip-it-random", "clip-it", "clip-it-oracle"],
            },
            "multi-label": {
                "title": "Several labels per image",
                "datasets": ["phantom-quilt", "phantom-quilt-random"],
                "encoders": ["phantom-clip"],
                "methods": list(MULTI_METHODS),
                "seeds": list(SEEDS),
                "metric": "top3_f1_micro",
                "reference": "zero-shot",
                "published": str(PUBLISHED),
                "claims": [
                    {
                        "claim": "Training gains",
                        "paper": "by a <wide> margin",
                        "better": "fusion-frozen",
                        "worse": "zero-shot",
                        "expect": "gain",
                    },
                    {
                        "claim": "Zero-shot adds nothing to fusion",
                        "paper": "",
                        "better": "zero-shot",
                        "worse": "fusion-frozen",
                        "metric": "label_accuracy_3",
                        "expect": "no gain",
                        "margin": 0.01,
                    },
                ],
            },
        },
    }


def _tile(random, label: str) -> Image.Image:
    tint = TINTS.get(label, 170)
    pixels = np.full((48, 48, 3), (tint, tint * 0.75, min(255, tint + 30)))
    pixels = np.clip(pixels + random.normal(0, 18, (48, 48, 1)), 0, 255).astype("uint8")
    return Image.fromarray(pixels)


def _crc(root: Path, per_class: int, random) -> pd.DataFrame:
    rows, folder = [], root / "results/phantom/nct-crc"
    for c, label in enumerate(CRC):
        for i in range(per_class):
            path = f"{label.upper()}/{label}-{i}.png"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            _tile(random, label).save(folder / path)
            split = "train" if i % 4 < 2 else "val" if i % 4 == 2 else "test"
            group = f"patient-{(c + i) % 12}"
            name = f"{label}-{i}"
            rows.append((name, name, path, f"{i:064x}", group, split, [label], None))
    table = _labels(root, "phantom-crc", rows, "single", CRC, folder)
    _audit(root, "phantom-crc", table)
    truth = pd.DataFrame(
        {
            "path": table["path"],
            "label": table["labels"].str[0],
            "architecture": random.choice(["gland", "sheet"], len(table)),
            "grade": random.integers(1, 4, len(table)),
            "split": table["split"],
        }
    )
    tables.write(root / "results/phantom/truth/nct-crc.parquet", truth, about("phantom"))
    return table


def _quilt(root: Path, random) -> dict[str, pd.DataFrame]:
    folder, rows = root / "results/phantom/quilt", []
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(120):
        path = f"video{i % 15}_image_{i}.png"
        labels = sorted(random.permutation(QUILT)[: random.integers(1, 4)])
        _tile(random, "stroma").save(folder / path)
        split = "test" if i % 15 < 4 else "val" if i % 15 < 6 else "train"
        caption = f"A caption of {labels[0]} <b>not bold</b>"
        rows.append((f"row-{i}", path, path, f"{i:064x}", f"video{i % 15}", split, labels, caption))
    by_group = _labels(root, "phantom-quilt", rows, "multi", QUILT, folder)
    shuffled = random.permutation([row[5] for row in rows])
    rows = [(*row[:5], split, *row[6:]) for row, split in zip(rows, shuffled, strict=True)]
    by_row = _labels(root, "phantom-quilt-random", rows, "multi", QUILT, folder)
    found = {"phantom-quilt": by_group, "phantom-quilt-random": by_row}
    for name, table in found.items():
        _audit(root, name, table)
    return found


def _labels(root: Path, name: str, rows: list, task: str, classes: list, folder: Path):
    columns = ["sample_id", "image_id", "path", "sha256", "group", "split", "labels", "caption"]
    table = pd.DataFrame(rows, columns=columns)
    table["phash"] = None
    names = {label: label.capitalize() for label in classes}
    made = about("labels", task=task, classes=classes, class_names=names, root=str(folder))
    path = root / f"results/labels/{name}.parquet"
    tables.write(path, table, made)
    leaks.write(path, path.with_suffix(".leaks.parquet"), about("check_leaks"))
    return table


AUDIT = ["step", "action", "subject", "before", "after", "reason", "count"]


def _audit(root: Path, name: str, table: pd.DataFrame) -> None:
    base = f"results/labels/{name}"
    audit = pd.DataFrame(
        [
            ("clean", "dropped", "captions.csv:4", "nan", None, "caption is missing", 3),
            ("standardise", "merged", "Immunopathology", "Immunopathology", "Immunology", "map", 9),
        ],
        columns=AUDIT,
    )
    tables.write(root / f"{base}.audit.parquet", audit, about("labels"))
    bad = pd.DataFrame(
        [("bad/<script>.png", 7, "truncated image", "Replace the file")],
        columns=["path", "row", "reason", "remedy"],
    )
    tables.write(root / f"{base}.quarantine.parquet", bad, about("labels"))
    counts = table.explode("labels").groupby(["labels", "split"]).size().unstack(fill_value=0)
    counts = counts.reset_index().rename(columns={"labels": "label"})
    counts["cleaned"] = counts[["train", "val", "test"]].sum(axis=1)
    counts["raw"] = counts["cleaned"] + 3
    order = ["label", "raw", "cleaned", "train", "val", "test"]
    tables.write(root / f"{base}.frequencies.parquet", counts[order], about("labels"))


def _reports(root: Path, random) -> pd.DataFrame:
    rows = []
    for i in range(40):
        label = CRC[i % len(CRC)]
        for chunk in range(2):
            text = f"{PHRASES[label].capitalize()}. Section {chunk} of report {i}. " * (chunk + 2)
            section = ["microscopy", "diagnosis"][chunk]
            rows.append((f"TCGA-{i:03d}", f"p{i}", "colon", chunk, section, text))
    columns = ["report_id", "group", "organ", "chunk", "section", "text"]
    table = pd.DataFrame(rows, columns=columns).astype({"chunk": "int32"})
    table["n_tokens"] = table["text"].str.split().str.len().astype("int32") + 2
    cut = root / "results/chunks/phantom-clip/phantom-tcga-colon"
    tables.write(f"{cut}.parquet", table, about("chunk_reports", context=24, most=24, cut=3))
    long = ("chunk", "cut", "TCGA-007", None, None, "longer than the 24 tokens", 3)
    found = pd.DataFrame([long], columns=AUDIT)
    tables.write(f"{cut}.audit.parquet", found, about("chunk_reports"))
    table = table.drop(columns=["chunk", "n_tokens"])
    tables.write(root / "results/reports/phantom-tcga-colon.parquet", table, about("reports"))
    audit = pd.DataFrame(
        [("clean", "dropped", "TCGA-099", None, None, "another organ: breast", 12)], columns=AUDIT
    )
    tables.write(root / "results/reports/phantom-tcga-colon.audit.parquet", audit, about("reports"))
    ids = list(dict.fromkeys(table["report_id"]))
    truth = pd.DataFrame(
        {
            "report_id": ids,
            "label": [CRC[i % len(CRC)] for i in range(len(ids))],
            "architecture": random.choice(["gland", "sheet"], len(ids)),
            "grade": random.integers(1, 4, len(ids)),
        }
    )
    tables.write(root / "results/phantom/truth/tcga-colon.parquet", truth, about("phantom"))
    return table


def _embeddings(root: Path, encoder: str, dataset: str, images: pd.DataFrame, random) -> None:
    vectors = tables.vectors(random.normal(size=(len(images), 8)).astype("float16"))
    table = pa.table({"image_id": list(images["image_id"]), "embedding": vectors})
    path = root / f"results/embeddings/{encoder}/{dataset}"
    tables.write(f"{path}.images.parquet", table, about("embed_images"))
    told = about("embed_prompts", texts=1234, cut=56, context=24)
    tables.write(f"{path}.prompts.parquet", table.rename_columns(["label", "embedding"]), told)


def _pairs(
    root: Path, encoder: str, images, reports, skill: float, random, correction: str = ""
) -> None:
    ids = np.array(list(dict.fromkeys(reports["report_id"])))
    rows = []
    for image, labels in zip(images["image_id"], images["labels"], strict=True):
        own = np.flatnonzero([i % len(CRC) == CRC.index(labels[0]) for i in range(len(ids))])
        likely = np.full(len(ids), 0.4)
        likely[own] = skill
        likely *= 1 / (1 + np.arange(len(ids))) if not correction else 1
        ranked = random.choice(len(ids), 5, replace=False, p=likely / likely.sum())
        similarity = np.sort(random.normal(0.42, 0.08, 5))[::-1]
        rows += [
            (image, rank + 1, ids[j], int(random.integers(2)), similarity[rank])
            for rank, j in enumerate(ranked)
        ]
    columns = ["image_id", "rank", "report_id", "chunk", "similarity"]
    table = pd.DataFrame(rows, columns=columns)
    table = table.astype({"rank": "int32", "chunk": "int32", "similarity": "float32"})
    path = root / f"results/pairs/{encoder}/phantom-crc.phantom-tcga-colon{correction}.parquet"
    tables.write(path, table, about("pair"))


def _run(root, dataset, encoder, method, seed, table, classes, skill, task) -> None:
    random = np.random.default_rng(sum(map(ord, method + dataset)) + seed)
    folder = run_folder(root, dataset, encoder, method, seed)
    shown = table[table["split"].isin(["val", "test"])]
    truth = truth_matrix(shown["labels"], classes)
    logits = skill * truth + random.normal(0, 1, truth.shape)
    scores = 1 / (1 + np.exp(-logits))
    if task == "single":
        scores /= scores.sum(1, keepdims=True)
    predictions = pa.table(
        {
            "sample_id": list(shown["sample_id"]),
            "split": list(shown["split"]),
            "labels": list(shown["labels"]),
            "scores": tables.vectors(scores.astype("float32")),
        }
    )
    key = {"dataset": dataset, "encoder": encoder, "method": method, "seed": seed}
    parameters = {"total": 1000, "trained": 100}
    made = about("train", task=task, classes=classes, parameters=parameters) | key
    tables.write(folder / "predictions.parquet", predictions, made)
    epochs = 0 if method == "zero-shot" else 8
    loss = np.exp(-0.25 * skill * np.arange(epochs)) + random.normal(0, 0.03, epochs)
    loss[-2:] = loss[-3:-2]  # converged
    history = pd.DataFrame(
        {
            "stage": ["main"] * epochs,
            "epoch": np.arange(epochs),
            "train_loss": loss,
            "train_task": loss * 0.8,
            "val_loss": loss + 0.1,
            "val_task": loss * 0.8 + 0.1,
        }
    )
    tables.write(folder / "history.parquet", history, made)
    files = [folder / name for name in ("predictions.parquet", "history.parquet", "metrics.json")]
    score.score(*files, about("score"))
    (folder / "weights.safetensors").write_bytes(b"fake weights " + method.encode())


BENCHMARK = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def _benchmarks(root: Path, random) -> None:
    names = ["clean_labels/phantom-crc", "pair/phantom-clip/phantom-crc.phantom-tcga-colon"]
    names += [f"embed_images/phantom-clip/{name}" for name in ("phantom-crc", "phantom-quilt")]
    names += [f"run/phantom-crc/phantom-vit/{m}/{seed}" for m in METHODS for seed in SEEDS]
    for name in names:
        path = root / f"results/benchmarks/{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = float(random.gamma(2, 4))
        path.write_text(f"{BENCHMARK}{seconds:.4f}\t0:00:01\t{seconds:.2f}\t1\t1\t1\t0\t0\t9\t2\n")
    speed = root / "results/benchmarks/embed_images/phantom-clip/phantom-crc.speed.json"
    speed.write_text('{"per_second": 1234.56, "waited": 0.071}')
    short = root / "results/benchmarks/study/clip-it.tsv"
    short.parent.mkdir(parents=True)
    short.write_text(f"{BENCHMARK}0.2\t0:00:00\t-\t-\t-\t-\t-\t-\t0\t0\n")
