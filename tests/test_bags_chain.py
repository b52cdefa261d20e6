"""Bags and folds as a user runs them, on features of their own: it ends, and reruns exactly."""

import h5py
import numpy as np
import pytest
import yaml

import workflow

CONFIG = "tests/bags.yaml"
PAGE = "results/studies/s.html"
PACKAGE = "workflow/scripts/histopair"
CLEAN, SPLIT, RUN = {"clean_labels"}, {"resplit"}, {"run", "join_folds", "score", "study"}
JUDGED = {"score", "study"}
CONCORDANCE = f"{PACKAGE}/evaluation/concordance.py"
EDITS = {
    "the loss": (f"{PACKAGE}/training/cox.py", 'ties == "efron"', 'ties != "breslow"', RUN),
    "the evaluation": (CONCORDANCE, "TIED = 1e-8", "TIED = 1e-7", JUDGED),
    "the join": (
        f"{PACKAGE}/training/joined_folds.py",
        'f"fold {fold} "',
        'f"f {fold} "',
        RUN - {"run"},
    ),
    "a follow-up": ("data/clinical.csv", "P3,4,1", "P3,5,1", CLEAN | SPLIT | RUN),
    "the folds": (CONFIG, "folds: 2", "folds: 3", CLEAN | SPLIT | RUN),
    "a method": (CONFIG, "epochs: 2", "epochs: 3", RUN),
    "a title": (CONFIG, "title: Ours", "title: Theirs", {"study"}),
    "a comment": (
        f"{PACKAGE}/methods/mil/attention.py",
        "import torch\n",
        "import torch  # of course\n",
        set(),
    ),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = workflow.copy_to(tmp_path_factory.mktemp("survival") / "histopair")
    rng = np.random.default_rng(0)
    (folder / "data" / "h5_files").mkdir(parents=True)
    for i in range(20):
        with h5py.File(folder / "data" / "h5_files" / f"P{i}-1.h5", "w") as file:
            file["features"] = rng.normal(size=(3, 4)).astype(np.float32)
    rows = [f"P{i},{i + 1},{i % 2}" for i in range(20)]
    (folder / "data" / "clinical.csv").write_text("\n".join(["patient,time,event", *rows, ""]))
    people = {"reader": "cohort", "clinical": "data/clinical.csv", "features": {"vit": "data"}}
    study = {"title": "Ours", "seeds": [0], "reference": "mil", "metric": "c_index"}
    config = {
        "datasets": {"people": people | {"split": {"folds": 2, "val": 0.25}}},
        "encoders": {"vit": {"library": "timm", "model": "vit_tiny_patch16_224"}},
        "methods": {"mil": {"recipe": "mil", "epochs": 2, "batch_size": 100}},
        "studies": {"s": study | {"datasets": ["people"], "encoders": ["vit"], "methods": ["mil"]}},
    }
    (folder / CONFIG).write_text(yaml.safe_dump(config))
    return workflow.finish(folder, PAGE, config=CONFIG)


@pytest.mark.parametrize("file, old, new, jobs", EDITS.values(), ids=EDITS)
def test_an_edit_reruns_what_reads_it(finished, file, old, new, jobs):
    assert workflow.rerun_by((finished / file, old, new), finished, PAGE, config=CONFIG) == jobs


def test_a_bad_table_is_one_line_and_no_traceback(finished):
    file = finished / "data" / "clinical.csv"
    before = file.read_text()
    workflow.edit(file, "P3,4,1", "P3,-4,1")
    process = workflow.run(finished, PAGE, config=CONFIG)
    file.write_text(before)
    assert process.returncode != 0
    said = "histopair: data/clinical.csv, row 5: the time '-4' is not a number of 0 or more."
    assert said in process.stdout
