"""The survival chain as a user runs it, on features of their own: it ends, and reruns exactly."""

import h5py
import numpy as np
import pytest
import yaml

import workflow

CONFIG = "tests/survival.yaml"
PAGE = "results/survival/s.html"
PACKAGE = "workflow/scripts/histopair/survival"
COHORT, RUN, STUDY = ("clean_cohort", "survival_run", "survival_study")
EDITS = {
    "the loss": (f"{PACKAGE}/cox.py", 'ties == "efron"', 'ties != "breslow"', {RUN, STUDY}),
    "the evaluation": (f"{PACKAGE}/evaluation.py", "TIED = 1e-8", "TIED = 1e-7", {STUDY}),
    "a follow-up": ("data/clinical.csv", "P3,4,1", "P3,5,1", {COHORT, RUN, STUDY}),
    "a method": (CONFIG, "epochs: 2", "epochs: 3", {RUN, STUDY}),
    "a title": (CONFIG, "title: Ours", "title: Theirs", {STUDY}),
    "a comment": (f"{PACKAGE}/mil.py", "import torch\n", "import torch  # of course\n", set()),
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
    study = {"cohort": "c", "title": "Ours", "seeds": [0], "reference": "unimodal"}
    config = {
        "datasets": {"tiles": {"reader": "table", "root": "tiles"}},
        "encoders": {"vit": {"library": "timm", "model": "vit_tiny_patch16_224"}},
        "methods": {"unimodal": {"recipe": "unimodal"}},
        "studies": {"main": {"datasets": ["tiles"], "encoders": ["vit"], "methods": ["unimodal"]}},
        "cohorts": {"c": {"clinical": "data/clinical.csv", "features": "data", "folds": 2}},
        "survival": {"s": study | {"methods": {"unimodal": {"epochs": 2}}}},
    }
    (folder / CONFIG).write_text(yaml.safe_dump(config))
    process = workflow.run(folder, PAGE, config=CONFIG)
    assert process.returncode == 0, process.stdout[-3000:]
    return folder


@pytest.mark.parametrize("file, old, new, jobs", EDITS.values(), ids=EDITS)
def test_an_edit_reruns_what_reads_it(finished, file, old, new, jobs):
    before = (finished / file).read_text()
    workflow.edit(finished / file, old, new)
    try:
        assert set(workflow.planned(finished, PAGE, config=CONFIG).values()) == jobs
    finally:
        (finished / file).write_text(before)


def test_a_bad_table_is_one_line_and_no_traceback(finished):
    file = finished / "data" / "clinical.csv"
    before = file.read_text()
    workflow.edit(file, "P3,4,1", "P3,-4,1")
    process = workflow.run(finished, PAGE, config=CONFIG)
    file.write_text(before)
    assert process.returncode != 0
    said = "histopair: data/clinical.csv, row 5: the time '-4' is not a number of 0 or more."
    assert said in process.stdout
