"""What reruns after an edit, and what does not: the table below, on a finished run.

An edit is (file, old text, new text); what reruns is told by patterns of the jobs' first outputs.
Exactly the jobs of the finished run that match, and none beside them, must be in the plan.
"""

import fnmatch
import os
import shutil
import time

import pytest

import workflow

PACKAGE = "workflow/scripts/histopair"
CONFIG = workflow.CONFIG


def result(*patterns):
    return tuple(f"results/{pattern}" for pattern in patterns)


PAGE = result("page.html")
STUDIES = (*result("studies/*.csv"), *PAGE)
OUTSIDE = result("scores/external/phantom-hospitals/*")
ELSEWHERE = (*result("studies/external.csv"), *PAGE)


def runs(method="*", dataset="*", encoder="*", studies=("*",)):
    """Runs, and all that reads them."""
    tables = result(*(f"studies/{study}.csv" for study in studies))
    run = f"{dataset}/{encoder}/{method}"
    scores = result(*(f"scores/{study}/*{run}.json" for study in studies))
    return (*result(f"runs/{run}/*", f"external/*/{run}/*"), *scores, *tables, *PAGE)


def scores(study, *methods):
    """Of some methods of a study, the scores of all their runs."""
    return result(*(f"scores/{study}/*/{method}.json" for method in methods))


RETRIEVED = (*result("pairs/phantom-*"), *runs("clip-it", studies=("clip-it", "locked")))
RETRIEVED += (*result("runs/*/*/clip-it-locked/*"), *scores("locked", "clip-it-locked"))
ORACLE = (*result("pairs/oracle/*"), *runs("clip-it-oracle", studies=["clip-it"]))
LOCKED = (
    *result("encoders/phantom-locked-clip", "embeddings/phantom-locked-clip/*"),
    *result("chunks/phantom-locked-clip/*"),
    *result("pairs/phantom-locked-clip/*"),
    *runs("clip-it-locked", studies=["locked"]),
)
EMBEDDED = (
    *result("embeddings/*", "pairs/phantom-*", "runs/*/linear-head/*", "runs/*/clip-it/*"),
    *result("external/*/linear-head/*", "studies/external.csv"),
    *result("runs/*/linear-probe/*", "runs/*/clip-it-image/*", "runs/*/clip-it-label/*"),
    *result("runs/*/clip-it-locked/*", "runs/*/zero-shot/*", "runs/*/fusion-frozen/*"),
    *scores("*", "linear-*", "clip-it", "clip-it-image", "clip-it-label", "clip-it-locked"),
    *scores("multi-label", "zero-shot", "fusion-frozen"),
    *result("studies/clip-it.csv"),
    *result("studies/frozen.csv", "studies/locked.csv", "studies/multi-label.csv"),
    *PAGE,
)
BACH = (
    *result("labels/phantom-bach.*", "embeddings/*/phantom-bach.*", "pairs/*/phantom-bach.*"),
    *runs(dataset="phantom-bach", studies=("breast", "locked")),
)
PARTLY_TRAINED = runs("fusion-partial", studies=["multi-label"])
CACHED = (*result("activations/*"), *PARTLY_TRAINED)
ADAPTED = runs("lora", studies=("clip-it", "external", "breast"))
EVERYTHING_TRAINED = (
    *result("encoders/*", "chunks/*", "embeddings/*", "activations/*", "pairs/phantom-*"),
    *result("pairs/oracle/*.quality.json"),
    *runs(),
)

EDITS = {
    # code
    "one method": (
        f"{PACKAGE}/methods/linear_head.py",
        "features.shape[1], len(run.classes))",
        "features.shape[1], len(run.classes), bias=False)",
        runs("linear-head", studies=("clip-it", "frozen", "external")),
    ),
    "a method with ablations": (
        f"{PACKAGE}/methods/clip_it/students.py",
        "layer = heads.Last(2 * classes, classes)",
        "layer = heads.Last(2 * classes, classes, dtype=torch.float32)",
        runs("clip-it*", studies=("clip-it", "locked")),
    ),
    "a method of the other study": (
        f"{PACKAGE}/methods/zero_shot.py",
        "TEMPERATURE = 100.0",
        "TEMPERATURE = 50.0",
        runs("zero-shot", studies=["multi-label"]),
    ),
    "the training loop": (
        f"{PACKAGE}/training/optimizers.py",
        "warmup: float = 0.05",
        "warmup: float = 0.1",
        EVERYTHING_TRAINED,
    ),
    "metrics": (
        f"{PACKAGE}/evaluation/metrics.py",
        "\nTOP = 3\n",
        "\nTOP = 2\n",
        (*result("scores/*"), *STUDIES),
    ),
    "intervals": (
        f"{PACKAGE}/evaluation/bootstrap.py",
        "REPLICATES = 1000",
        "REPLICATES = 2000",
        STUDIES,
    ),
    "calibration": (
        f"{PACKAGE}/evaluation/reliability.py",
        "BINS = 15",
        "BINS = 10",
        (*result("scores/*"), *STUDIES),
    ),
    "significance": (
        f"{PACKAGE}/evaluation/p_values.py",
        "PERMUTATIONS = 4999",
        "PERMUTATIONS = 999",
        STUDIES,
    ),
    "a paper's number": (
        "config/published/multilabel.csv",
        "zero-shot,micro_auc,0.6343",
        "zero-shot,micro_auc,0.6344",
        (*result("studies/multi-label.csv"), *PAGE),
    ),
    "retrieval": (f"{PACKAGE}/retrieval/retrieve.py", "BLOCK = 8192", "BLOCK = 4096", RETRIEVED),
    "the leak check": (
        f"{PACKAGE}/datasets/leaks.py",
        "(VAL, TRAIN))",
        "(TRAIN, VAL))",
        (*result("labels/*.leaks.parquet", "external/*"), *OUTSIDE, *ELSEWHERE),
    ),
    "what runs are shown of other datasets": (
        f"{PACKAGE}/export/finished.py",
        "BATCH = 64",
        "BATCH = 32",
        (*result("external/*/predictions.parquet"), *OUTSIDE, *ELSEWHERE),
    ),
    "how far a hospital is away": (
        CONFIG,
        "south: 2",
        "south: 3",
        (
            *result("phantom/hospitals/*", "labels/phantom-hospitals.*"),
            *result("embeddings/*/phantom-hospitals.*", "external/*"),
            *OUTSIDE,
            *ELSEWHERE,
        ),
    ),
    "a dataset that is no longer scored": (
        CONFIG,
        "    seeds: [0, 1]\n    evaluate_on: [phantom-hospitals]\n",
        "    seeds: [0, 1]\n",
        ELSEWHERE,
    ),
    "how activations are kept": (
        f"{PACKAGE}/encoders/activations/cache.py",
        "SHARD_BYTES = 128 * 10**6",
        "SHARD_BYTES = 64 * 10**6",
        CACHED,
    ),
    "a formula of correction": (
        f"{PACKAGE}/retrieval/correction.py",
        "neighbours: int = 10",
        "neighbours: int = 20",
        RETRIEVED,
    ),
    "the oracle": (
        f"{PACKAGE}/phantom/oracle.py",
        "import numpy as np",
        "import re\nimport numpy as np",
        ORACLE,
    ),
    "a reader": (
        f"{PACKAGE}/readers/bach.py",
        '"Normal": "normal"',
        '"Normal": "normal tissue"',
        BACH,
    ),
    "one kind of encoder": (
        f"{PACKAGE}/training/pretrain/locked_clip.py",
        "BATCH = 64",
        "BATCH = 32",
        LOCKED,
    ),
    "the page's words": (
        f"{PACKAGE}/pages/overview.py",
        'or "histopair"',
        'or "untitled"',
        PAGE,
    ),
    "the page's look": (f"{PACKAGE}/pages/page.html.j2", "</title>", " </title>", STUDIES),
    # config
    "how alike synonyms are": (
        CONFIG,
        "proposals: {similarity: 0.95}",
        "proposals: {similarity: 0.9}",
        (*result("labels/phantom-quilt.proposals.csv"), *PAGE),
    ),
    "the encoder of proposals": (
        CONFIG,
        "proposals: {similarity: 0.95}",
        "proposals: {similarity: 0.95, encoder: phantom-bert}",
        (
            *result("embeddings/phantom-bert/phantom-quilt.labels.parquet"),
            *result("labels/phantom-quilt.proposals.csv"),
            *PAGE,
        ),
    ),
    "the rules of spelling": (
        f"{PACKAGE}/datasets/spelling.py",
        "ALIKE = 0.88",
        "ALIKE = 0.9",
        (*result("labels/phantom-quilt.proposals.csv"), *PAGE),
    ),
    "a mapping of labels": (
        "config/labels/quilt.csv",
        "Kidney,Renal,organ for its subspecialty",
        "Kidney,,no class",
        (*result("labels/phantom-quilt*", "labels/phantom-captions.*"), *EVERYTHING_TRAINED),
    ),
    "labels that readers amend": (
        CONFIG,
        "root: results/phantom/bach\n",
        "root: results/phantom/bach\n    amendments: config/labels/quilt.csv\n",  # any file
        BACH,
    ),
    "one correction of retrieval": (
        CONFIG,
        "compare: [sinkhorn]",
        "compare: [sinkhorn], sinkhorn: {temperature: 0.1}",
        (*result("pairs/*.sinkhorn.*"), *PAGE),
    ),
    "a correction that is compared": (
        CONFIG,
        "compare: [sinkhorn]",
        "compare: [sinkhorn, csls]",
        (*result("pairs/*.csls.*"), *PAGE),
    ),
    "retrieval.k": (CONFIG, "k: 5", "k: 4", (*RETRIEVED, *ORACLE)),
    "a method's parameter": (
        CONFIG,
        "fusion_frozen, epochs: 2",
        "fusion_frozen, epochs: 3",
        runs("fusion-frozen", studies=["multi-label"]),
    ),
    "a parameter of last blocks": (
        CONFIG,
        "fusion_partial, unfreeze: 1, epochs: 2",
        "fusion_partial, unfreeze: 1, epochs: 3",
        PARTLY_TRAINED,
    ),
    "the number of last blocks": (
        CONFIG,
        "fusion_partial, unfreeze: 1, epochs: 2",
        "fusion_partial, unfreeze: 2, epochs: 2",
        (*result("activations/*.2"), *PARTLY_TRAINED),
    ),
    "adapters in the last block alone": (
        CONFIG,
        "recipe: lora, epochs: 2",
        "recipe: lora, epochs: 2, lora: {blocks: 1}",
        (*result("activations/phantom-vit/*.images.1"), *ADAPTED),
    ),
    "a tower without adapters": (
        CONFIG,
        "clip_it, retriever: phantom-clip",
        "clip_it, lora: null, retriever: phantom-clip",
        (
            *result("embeddings/phantom-vit/phantom-bach.images.parquet"),
            *runs("clip-it*", studies=("clip-it", "locked")),
        ),
    ),
    "activations.storage": (
        CONFIG,
        "activations: {budget_gb: 1}",
        "activations: {budget_gb: 1, storage: bfloat16}",
        CACHED,
    ),
    "an encoder's training": (
        CONFIG,
        "vocabulary: 300",
        "vocabulary: 310",
        (*result("encoders/phantom-bert"), *LOCKED),
    ),
    "how long chunks are": (
        CONFIG,
        "    organ: colon\n",
        "    organ: colon\n    chunk_tokens: 24\n",
        (
            *result("chunks/*", "embeddings/*.texts.parquet", "pairs/phantom-*"),
            *result("pairs/oracle/*.quality.json", "runs/phantom-crc/*/clip-it/*"),
            *result("runs/*/*/clip-it-random/*", "runs/*/*/clip-it-oracle/*"),
            *result("runs/*/clip-it-locked/*", "studies/clip-it.csv", "studies/locked.csv"),
            *scores("*", "clip-it", "clip-it-random", "clip-it-oracle", "clip-it-locked"),
            *PAGE,
        ),
    ),
    "how many tokens a tower reads": (CONFIG, "max_length: 32", "max_length: 31", LOCKED),
    "what of a retriever changes no tokens": (
        CONFIG,
        "model: local-dir:results/encoders/phantom-clip\n",
        "model: local-dir:results/encoders/phantom-clip\n    pretrained: other\n",
        (
            *result("embeddings/phantom-clip/*", "activations/*", "pairs/phantom-clip/*"),
            *result("runs/phantom-crc/*/clip-it*", "runs/phantom-quilt*"),
            *(*scores("clip-it", "clip-it*"), *scores("multi-label", "*")),
            *result("studies/clip-it.csv", "studies/multi-label.csv"),
            *PAGE,
        ),
    ),
    "embedding.precision": (CONFIG, "precision: float32", "precision: bfloat16", EMBEDDED),
    "a description": (CONFIG, "Nine tissues of the colon", "Tissues of the colon", PAGE),
    "a licence": (CONFIG, "licence: MIT", "licence: BSD", PAGE),
    "a study's title": (
        CONFIG,
        "title: Breast, small",
        "title: Two tissues, small",
        (*result("studies/breast.csv"), *PAGE),
    ),
    "a claim": (
        CONFIG,
        "claim: Training gains",
        "claim: Training helps",
        (*result("studies/multi-label.csv"), *PAGE),
    ),
    "the size of one phantom": (
        CONFIG,
        "per_class: 10",
        "per_class: 11",
        (*result("phantom/bach/*"), *BACH),
    ),
    "a seed added": (
        CONFIG,
        "methods: [linear-head]\n    seeds: [0, 1]",
        "methods: [linear-head]\n    seeds: [0, 1, 2]",
        (
            *result("runs/*/linear-head/2/*", "studies/frozen.csv"),
            *scores("frozen", "linear-head"),
            *PAGE,
        ),
    ),
}


@pytest.fixture(scope="module")
def folder(finished_run):
    return finished_run


@pytest.fixture(scope="module")
def jobs(folder):
    """First outputs of all jobs."""
    return set(workflow.planned(folder, "--forceall"))


@pytest.fixture
def restored(folder):
    """Undo what a test does to code and config."""
    paths = [path for path in code_of(folder) if path.is_file()]
    before = {path: (path.read_bytes(), path.stat()) for path in paths}
    yield
    for path, (content, status) in before.items():
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def code_of(folder):
    places = ("workflow", "config", "envs", "tests", "profiles")
    return [folder / "Snakefile", *(p for place in places for p in (folder / place).rglob("*"))]


def test_a_dataset_added_runs_its_chain_and_nothing_else(folder, jobs, restored):
    (folder / "tiles").mkdir()
    (folder / "tiles" / "labels.csv").write_text("path,label\n")
    workflow.edit(
        folder / CONFIG, "datasets:\n", "datasets:\n  mine: {reader: table, root: tiles}\n"
    )
    frozen = "title: Frozen, small\n    datasets: [phantom-crc"
    workflow.edit(folder / CONFIG, frozen, f"{frozen}, mine")
    planned = set(workflow.planned(folder))
    own = {job for job in planned if "/mine" in job}
    assert {job.split("/")[1] for job in own} == {"labels", "embeddings", "runs", "scores"}
    assert planned - own == {"results/studies/frozen.csv", "results/page.html"}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reruns_what_reads_it_and_nothing_else(folder, jobs, restored, name):
    file, old, new, patterns = EDITS[name]
    workflow.edit(folder / file, old, new)
    planned = set(workflow.planned(folder))
    expected = {
        job for job in jobs | planned if any(fnmatch.fnmatch(job, pattern) for pattern in patterns)
    }
    assert planned == expected
    assert planned


SHARED = (CONFIG, "shard_size: 4,", "shard_size: 4, jobs: 3,")  # by three jobs and a joining one
WORKS = {
    "embed_images": "results/embeddings/phantom-vit/phantom-crc.images.parquet",
    "embed_captions": "results/embeddings/phantom-clip/phantom-quilt.captions.parquet",
    "cache_activations": "results/activations/phantom-clip/phantom-quilt.captions.1",
    "pair": "results/pairs/phantom-clip/phantom-crc.phantom-colon.parquet",
}


def test_how_many_jobs_share_a_work_reruns_nothing_and_changes_no_byte(finished_run, tmp_path):
    folder = shutil.copytree(finished_run, tmp_path / "histopair", symlinks=True)
    workflow.edit(folder / SHARED[0], *SHARED[1:])
    assert workflow.planned(folder) == {}
    before = {name: made_for(folder, work) for name, work in WORKS.items()}
    for work in WORKS.values():
        made = folder / work
        shutil.rmtree(made) if made.is_dir() else made.unlink()
        shutil.rmtree(folder / "results/.shards" / work, ignore_errors=True)
    jobs = list(workflow.planned(folder, *WORKS.values()).values())
    assert all((jobs.count(name), jobs.count(f"{name}_part")) == (1, 3) for name in WORKS)
    workflow.finish(folder, *WORKS.values())
    assert {name: made_for(folder, work) for name, work in WORKS.items()} == before
    assert not (folder / "results/.parts").exists()
    assert workflow.planned(folder, *WORKS.values()) == {}
    workflow.edit(folder / SHARED[0], SHARED[2], SHARED[1])
    assert workflow.planned(folder, *WORKS.values()) == {}


def made_for(folder, work):
    path = folder / work
    return workflow.contents(path) if path.is_dir() else path.read_bytes()


def test_what_reruns_a_work_reruns_its_parts(folder, restored):
    workflow.edit(folder / SHARED[0], *SHARED[1:])
    workflow.edit(folder / CONFIG, "precision: float32", "precision: bfloat16")
    planned = workflow.planned(folder)
    jobs = list(planned.values())
    for name in ("embed_images", "embed_captions"):
        assert jobs.count(f"{name}_part") == 3 * jobs.count(name) > 0
    corrected = sum(job.endswith(".sinkhorn.parquet") for job in planned)
    assert jobs.count("pair_part") == 3 * (jobs.count("pair") - corrected) > 0
    assert "cache_activations_part" not in jobs


@pytest.fixture
def without_tunings(folder):
    """Take a tuning away again: other tests look at all that the small run has made."""
    yield
    for place in ("results/tunings", "results/.resume/results/tunings"):
        shutil.rmtree(folder / place)


def test_a_tuning_reads_what_runs_read_and_reruns_what_an_edit_concerns(
    folder, restored, without_tunings
):
    history, best = "results/tunings/small.parquet", "results/tunings/small.best.yaml"
    assert workflow.planned(folder, best) == {history: "tune", best: "tuning_result"}
    workflow.finish(folder, best)
    assert workflow.planned(folder, best) == {}
    assert not list((folder / "results/.resume").rglob("*.pt"))
    edits = {
        "pages/best_parameters.py": ('label="best so far"', 'label="best"', {best}),
        "training/trials.py": ("trials.log", "journal.log", {history, best}),
        "methods/lora.py": ("len(run.classes)", "1 * len(run.classes)", {history, best}),
        "methods/clip_it/__init__.py": ('"text_epochs": 100', '"text_epochs": 101', set()),
    }
    for file, (old, new, jobs) in edits.items():
        path = folder / PACKAGE / file
        before = path.read_bytes()
        workflow.edit(path, old, new)
        assert set(workflow.planned(folder, best)) == jobs, file
        path.write_bytes(before)
    workflow.edit(folder / CONFIG, "trials: 2", "trials: 3")
    assert set(workflow.planned(folder, best)) == {history, best}


def test_comments_docstrings_layout_logging_and_how_it_is_computed_rerun_nothing(folder, restored):
    package = folder / PACKAGE
    workflow.edit(package / "training/loop.py", "# seconds between", "# how many seconds between")
    workflow.edit(
        package / "training/loop.py", "The training loop of every", "The one loop of each"
    )
    workflow.edit(package / "methods/linear_head.py", "PARAMETERS = {}", "PARAMETERS = {\n}")
    workflow.edit(package / "jobs/__init__.py", "every: float = 10.0", "every: float = 5.0")
    workflow.edit(folder / "workflow/rules/train.smk", "# Runs: one", "# Each run: one")
    workflow.edit(folder / CONFIG, "# The catalogue", "# A catalogue")
    with open(folder / CONFIG, "a", encoding="utf-8") as config:
        config.write("\ntraining: {processes: 2, tensorboard: true}\n")
    assert workflow.planned(folder) == {}


def test_a_fresh_clone_and_touched_artifacts_rerun_nothing(folder, restored):
    """A clone gives all code the time of cloning; a copy may give artifacts another."""
    now = time.time()
    artifacts = folder.glob("results/labels/*.parquet")
    for path in [*code_of(folder), *artifacts]:
        os.utime(path, (now, now))
    assert workflow.planned(folder) == {}


def test_an_export_runs_alone_and_its_code_trains_nothing_again(folder, jobs, restored):
    target = "results/exports/phantom-crc/phantom-vit/linear-head/0"
    assert workflow.planned(folder, target) == {target: "export"}
    workflow.finish(folder, target)
    assert workflow.planned(folder, target) == {}
    edits = {
        "methods/linear_head.py": ("loaded(head, weights), image", "head, image", "linear-head"),
        "export/predictor.py": ('"sum" else torch.cat', '"add" else torch.cat', "l*"),
        "methods/clip_it/folded.py": ("shift.copy_(first.bias)", "shift.zero_()", ""),
        "methods/clip_it/__init__.py": ("lora.merge(encoder.image)", "pass", ""),
        "methods/lora.py": ("encoder.preprocess = ", "encoder.other = ", "lora"),
        "methods/cross_attention/inference.py": ("keys.shape[1]", "keys.shape[0]", ""),
    }
    for file, (old, new, method) in edits.items():
        path = folder / PACKAGE / file
        before = path.read_bytes()
        workflow.edit(path, old, new)
        scored = scores("external/phantom-hospitals", method)
        patterns = (*result(f"external/*/{method}/*"), *scored, *ELSEWHERE) if method else ()
        rerun = {job for job in jobs if any(fnmatch.fnmatch(job, name) for name in patterns)}
        exported = {target} if fnmatch.fnmatch("linear-head", method) else set()
        assert set(workflow.planned(folder, "all", target)) == rerun | exported, file
        path.write_bytes(before)


def test_analyses_train_nothing_and_rerun_what_reads_an_edit(folder, restored):
    page, errors = result("analyses/clip-it.html", "analyses/clip-it.complementarity.csv")
    assert sorted(workflow.planned(folder, page).values()) == sorted(
        ["analyses_page", "complementarity", "cost", "distillation", "measure_cost", "tsne"]
        + 3 * ["represent"]  # once for each method that text has taught
    )
    workflow.finish(folder, errors)
    assert workflow.planned(folder, errors) == {}
    edits = {
        "analyses/complementarity.py": ("ddof=1", "ddof=0", {errors}),
        "evaluation/bootstrap.py": ("REPLICATES = 1000", "REPLICATES = 2000", {errors}),
        "analyses/tsne.py": ("POINTS = 1500", "POINTS = 1000", set()),
        "analyses/cost.py": ("BATCH = 32", "BATCH = 16", set()),
    }
    for file, (old, new, jobs) in edits.items():
        path = folder / PACKAGE / file
        before = path.read_bytes()
        workflow.edit(path, old, new)
        targets = ["all", errors] if file.startswith("analyses/") else [errors]
        assert set(workflow.planned(folder, *targets)) == jobs, file
        path.write_bytes(before)
