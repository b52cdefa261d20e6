"""Few labels, a gate and curves as a user runs them, on small grades: it ends, agrees, reruns."""

import subprocess
import sys

import pandas as pd
import pytest
import yaml

import workflow

CONFIG = "tests/grades.yaml"
PAGE = "results/studies/s.html"
PACKAGE = "workflow/scripts/histopair"
EDITS = {
    "the gate": (
        f"{PACKAGE}/evaluation/gate.py",
        "LEAST_R2 = 0.3",
        "LEAST_R2 = 0.4",
        {"gate", "study"},
    ),
    "the curves": (
        f"{PACKAGE}/evaluation/label_curves.py",
        "a * b < 0 and right",
        "b * a < 0 and right",
        {"study"},
    ),
    "which are labelled": (
        f"{PACKAGE}/datasets/few_labels.py",
        'kind="stable")\n    draw',
        'kind="mergesort")\n    draw',
        {"distil", "run", "score", "study"},  # one_run.py, which both use, draws them
    ),
    "how many are": (CONFIG, "- 3\n", "- 4\n", {"resplit", "run", "score", "study"}),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = workflow.copy_to(tmp_path_factory.mktemp("grades") / "histopair")
    default = yaml.safe_load((folder / "config/config.yaml").read_text())
    clip = default["encoders"]["phantom-grades-clip"] | {"model": "local-dir:results/encoders/clip"}
    clip["train"] |= {"dataset": "captions", "epochs": 1}
    clip["train"]["model"] |= {
        "vision_cfg": {
            "image_size": 32,
            "layers": 2,
            "width": 32,
            "head_width": 16,
            "patch_size": 16,
        },
        "text_cfg": {
            "context_length": 32,
            "vocab_size": 49408,
            "width": 32,
            "heads": 2,
            "layers": 1,
        },
    }
    captions = default["datasets"]["phantom-grades-captions-500"] | {"table": "40.csv"}
    config = {
        "phantom": {
            "grades": {
                "train": 120,
                "val": 48,
                "test": 48,
                "reports": 20,
                "pixels": 32,
                "tiles_per_patient": 2,
            }
        },
        "datasets": {
            "grades": default["datasets"]["phantom-grades-noise-20"],
            "captions": captions,
        },
        "corpora": {"phantom-grades": default["corpora"]["phantom-grades"]},
        "encoders": {"clip": clip},
        "methods": {
            "linear-probe": {"recipe": "linear_probe"},
            "simple-shot": {"recipe": "simple_shot"},
            "text": {
                "recipe": "distil_frozen",
                "regression": "mlp",
                "retriever": "clip",
                "epochs": 2,
                "hidden": 8,
            },
            "staged": {
                "recipe": "distil_lora",
                "retriever": "clip",
                "epochs": 1,
                "distillation_epochs": 1,
                "hidden": 8,
                "lora": {"rank": 2, "blocks": 1},
            },
        },
        "studies": {
            "s": {
                "datasets": ["grades"],
                "labels": [3, "all"],
                "gate": True,
                "encoders": ["clip"],
                "methods": ["linear-probe", "simple-shot", "text", "staged"],
                "claims": [
                    {"claim": "Text helps", "better": "text", "worse": "linear-probe"},
                    {"claim": "Means do", "better": "simple-shot", "worse": "linear-probe"},
                ],
                "seeds": [0, 1],
                "reference": "linear-probe",
            }
        },
    }
    (folder / CONFIG).write_text(yaml.safe_dump(config))
    return workflow.finish(folder, PAGE, config=CONFIG)


def test_a_curve_has_a_point_for_each_number_of_labels(finished):
    curves = pd.read_csv(finished / "results/studies/s.curves.csv")
    assert set(curves["labels"]) == {"3;40"} and set(curves["versions"]) == {
        "grades-3-labels;grades"
    }
    table = pd.read_csv(finished / "results/studies/s.csv")
    seeds = table[table["metric"] == "accuracy"].set_index(["dataset", "method"])["n_seeds"]
    assert seeds["grades-3-labels", "linear-probe"] == 2 and seeds["grades", "linear-probe"] == 1


def test_what_is_learnt_from_all_images_is_shared_by_all_numbers_of_labels(finished):
    results = finished / "results"
    weights = results.glob("distilled/*/*/*/*/weights.safetensors")
    places = {str(file.parent.relative_to(results / "distilled")) for file in weights}
    assert places == {"grades/clip/staged/0", "grades/clip/staged/1"}
    assert [folder.name for folder in (results / "activations/clip").iterdir()] == [
        "grades.images.1"
    ]
    runs = [f"{dataset}/clip/staged/0" for dataset in ("grades", "grades-3-labels")]
    histories = [pd.read_parquet(results / "runs" / run / "history.parquet") for run in runs]
    first = [rows[rows["stage"] == "distillation"]["train_loss"] for rows in histories]
    assert len(first[0]) == 1 and list(first[0]) == list(first[1])


def test_predictions_are_of_few_validation_samples_and_of_the_whole_test_split(finished):
    runs = finished / "results/runs"
    split = pd.read_parquet(runs / "grades-3-labels/clip/text/0/predictions.parquet")["split"]
    assert split.value_counts().to_dict() == {"test": 48, "val": 9}


def test_the_gate_says_why_a_retriever_of_one_epoch_tells_nothing(finished):
    [row] = pd.read_csv(finished / "results/studies/s.gate.csv").to_dict("records")
    assert not row["passed"] and "hardly sees" in row["reasons"]
    assert row["label_accuracy"] == pytest.approx(0.8, abs=0.02)
    page = (finished / PAGE).read_text()
    assert "Can this world tell anything about text?" in page and "Area under the curve" in page


def test_a_world_that_fails_its_gate_has_no_verdict_on_text(finished):
    claims = pd.read_csv(finished / "results/studies/s.claims.csv", keep_default_na=False)
    assert len(claims) == 4
    of_text = claims["better"] == "text"
    assert set(claims[of_text]["verdict"]) == {"not decided"}
    assert set(claims[of_text]["gate_failed"]) == {"text (clip)"}
    assert set(claims[~of_text]["gate_failed"]) == {""}
    page = " ".join((finished / PAGE).read_text().split())
    assert "This world tells nothing about text:</strong> grades with clip." in page
    assert page.count("the gate of text (clip) is not passed") == 2


def test_the_audit_draws_the_same_labels_and_finds_the_same_curves(finished):
    command = [sys.executable, "workflow/commands", "audit", "results"]
    process = subprocess.run(command, cwd=finished, text=True, capture_output=True, check=False)
    assert process.stdout.rstrip().endswith("All agree."), process.stdout[-3000:] + process.stderr
    assert "curves over labels" in process.stdout


@pytest.mark.parametrize("file, old, new, jobs", EDITS.values(), ids=EDITS)
def test_an_edit_reruns_what_reads_it(finished, file, old, new, jobs):
    assert workflow.rerun_by((finished / file, old, new), finished, PAGE, config=CONFIG) == jobs
