"""Bad input at the terminal: one line says where, what and what to do, and finished work stays."""

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

import workflow

LABELS = "results/labels/mine.parquet"
REPORTS = "results/reports/mine.parquet"
OTHER = "results/labels/other.parquet"
KINDS = ("tumour", "normal")
ROWS = [f"{i}.png,{KINDS[i % 2]},patient-{i // 2}" for i in range(40)]
REPORT = "patient_filename,text\nTCGA-AA-{i}.X,Colon: moderately differentiated adenocarcinoma.\n"


def config():
    return {
        "datasets": {
            "mine": {"reader": "table", "root": "tiles", "corpus": "mine"},
            "other": {"reader": "table", "root": "tiles", "table": "other.csv"},
        },
        "corpora": {"mine": {"table": "reports.csv", "organ": "colon"}},
        "encoders": {"vit": {"library": "timm", "model": "vit_tiny_patch16_224"}},
        "methods": {"head": {"recipe": "linear_head"}},
        "studies": {
            "main": {"datasets": ["mine"], "encoders": ["vit"], "methods": ["head"]},
        },
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A user's folder: forty tiles, their labels, and a dataset that is cleaned already."""
    folder = workflow.copy_to(tmp_path_factory.mktemp("bad") / "histopair")
    (folder / "tiles").mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        pixels = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "tiles" / f"{number}.png")
    labels(folder, ["path,label,group", *ROWS], "other.csv")
    process = run(folder, config(), OTHER)
    assert process.returncode == 0, process.stdout
    return folder


def labels(folder, lines, name):
    (folder / "tiles" / name).write_text("\n".join(lines) + "\n")


def run(folder, config, *targets):
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    return workflow.run(folder, *targets, config="mine.yaml")


def complaints(process):
    """The lines that are for the user."""
    lines = process.stdout.splitlines()
    return [line.removeprefix("histopair: ") for line in lines if line.startswith("histopair: ")]


BAD_LABELS = {
    "label-unknown": (
        ["path,label,group", *ROWS[:-1], "39.png,tumuor,patient-19"],
        "label-unknown (tiles/label-unknown.csv), row 41: unknown label 'tumuor'",
    ),
    "images-lost": (
        ["path,label,group", *ROWS, *(f"lost-{i}.png,{KINDS[i % 2]},x" for i in range(10))],
        "images-lost (tiles/images-lost.csv): 10 of 50 images cannot be used, more than the "
        "allowed share of 0.05: lost-0",
    ),
    "path-outside": (
        ["path,label,group", *ROWS, "../secret.png,tumour,x"],
        "tiles/path-outside.csv, row 42: ",
    ),
    "no-row": (["path,label,group"], "tiles/no-row.csv: it has a heading but no rows."),
    "one-class": (["path,label,group", *ROWS[::2]], "one-class (tiles/one-class.csv): "),
}


@pytest.fixture(scope="module")
def bad_run(folder):
    """One run over a dataset of each mistake: what it said, and the artifacts before it."""
    bad = config()
    for name, (rows, _) in BAD_LABELS.items():
        labels(folder, rows, f"{name}.csv")
        entry = {"reader": "table", "root": "tiles", "table": f"{name}.csv"}
        bad["datasets"][name] = entry | {"classes": list(KINDS), "max_quarantined": 0.05}
    before = workflow.contents(folder / "results/labels")
    targets = [f"results/labels/{name}.parquet" for name in BAD_LABELS]
    return run(folder, bad, "--keep-going", *targets), before


@pytest.mark.parametrize("name", BAD_LABELS)
def test_a_bad_dataset_is_one_line_at_the_terminal_and_in_its_log(folder, bad_run, name):
    _, expected = BAD_LABELS[name]
    said = [line for line in complaints(bad_run[0]) if line.startswith(expected)]
    assert len(said) == 1, complaints(bad_run[0])
    assert said[0].removeprefix(expected).strip() or expected.endswith("config")
    assert said[0] in (folder / f"logs/labels/{name}.txt").read_text()


def test_the_audit_that_a_message_names_is_there_although_snakemake_deletes_outputs(
    folder, bad_run
):
    [said] = [line for line in complaints(bad_run[0]) if line.startswith("images-lost ")]
    kept = "logs/labels/images-lost.audit.csv"
    assert said.endswith(f" What was found until then: {kept}")
    rows = pd.read_csv(folder / kept)
    assert rows["count"][rows.action == "quarantined"].sum() == 10


def test_bad_datasets_leave_nothing_behind_and_finished_ones_alone(folder, bad_run):
    process, before = bad_run
    assert process.returncode == 1
    assert len(complaints(process)) == len(BAD_LABELS)
    assert workflow.contents(folder / "results/labels") == before


def test_a_corpus_without_a_report_of_the_organ_says_which_there_are(folder):
    (folder / "reports.csv").write_text("patient_filename,text\nTCGA-AA-1.X,some words here\n")
    [said] = complaints(run(folder, config(), REPORTS))
    assert said.startswith("mine: no report is of colon; the organs found are ")


def test_what_was_wrong_can_be_mended_and_finished_work_stays(folder, bad_run):
    stamp = (folder / OTHER).stat().st_mtime_ns
    labels(folder, ["path,label,group", *ROWS], "labels.csv")
    process = run(folder, config(), LABELS, OTHER)
    assert process.returncode == 0, process.stdout
    assert (folder / LABELS).is_file()
    assert (folder / OTHER).stat().st_mtime_ns == stamp


PLANNED = {
    "a table that is not there": (
        {"table": "gone.csv"},
        "tiles/gone.csv: there is no such file or folder. Correct the path in the config",
    ),
    "a column that is not there": (
        {"columns": {"path": "image"}},
        "tiles/other.csv: there is no column 'image'; the columns found are 'path', 'label', "
        "'group'. Rename a column, or give its name in the config",
    ),
}


@pytest.mark.parametrize("mistake", PLANNED)
def test_what_planning_can_see_stops_it_before_a_finished_artifact_is_cleared(folder, mistake):
    changes, expected = PLANNED[mistake]
    bad = config()
    bad["datasets"]["other"] |= changes
    before = workflow.contents(folder / "results")
    process = run(folder, bad, OTHER)
    assert (process.returncode, complaints(process)) == (1, [expected])
    assert workflow.contents(folder / "results") == before
    again = run(folder, config(), OTHER)
    assert "Nothing to be done" in again.stdout


def test_a_mistake_in_the_config_is_one_line_before_anything_runs(folder):
    process = run(folder, config() | {"retrieval": {"top_k": 3}})
    assert process.returncode == 1
    expected = "retrieval: unknown key 'top_k'; allowed are ['approximate', 'compare', "
    lines = [line for line in process.stdout.splitlines() if expected in line]
    assert len(lines) == 1, process.stdout
    assert "Traceback" not in process.stdout
    assert "Job stats" not in process.stdout
