"""The standing check agrees with a finished run, and names what was changed in it by hand."""

import ast
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import audit
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file
from test_export import write_export
from test_methods import METHODS, make, world  # noqa: F401
from test_survival_evaluation import CLAIM, runs

from histopair import tables
from histopair.evaluation import metrics
from histopair.report.survival_page import write_study
from histopair.training import runs as trainings
from recompute import artifacts

ROOT = Path(__file__).parents[1]
UNIMODAL = "runs/phantom-crc/phantom-vit/unimodal/0"
LORA = "runs/phantom-crc/phantom-vit/vision-lora/0"


@pytest.fixture(scope="module")
def results(finished_run) -> Path:
    return finished_run / "results"


def _said(results: Path, *kinds: str) -> list[str]:
    """The disagreements of all checks, or of those of some kinds."""
    artifacts.forget()
    found = [check for subject in audit.SUBJECTS for check in subject.CHECKS]
    tallies = [check(results) for check in found if not kinds or check.__name__ in kinds]
    return [line for tally in tallies for line in tally.disagreements]


def test_nothing_of_histopair_is_used_to_check_it():
    for file in [*(ROOT / "workflow/recompute").glob("*.py"), ROOT / "workflow/audit.py"]:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in getattr(node, "names", ())]
            names.append(getattr(node, "module", None) or "")
            assert not {name.split(".")[0] for name in names} & {"histopair", "torch"}, file


def test_a_finished_run_agrees_with_what_is_recomputed(results, capsys):
    assert audit.main([str(results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "All agree."
    idle = {line.removesuffix(" nothing to check").strip() for line in lines if "nothing" in line}
    assert idle <= {
        "tokens of chunks",
        "convergence of trainings",
        "adapters in exports, by the formula",
        "survival metrics of folds",
        "survival tables",
        "survival claims",
    }
    assert sum(" checked" in line for line in lines) >= 19


@pytest.mark.parametrize("name", ["", "absent"])
def test_an_empty_folder_is_one_line_and_no_silent_pass(tmp_path, capsys, name):
    assert audit.main([str(tmp_path / name)]) == 1
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "there is nothing to check" in said


def _parquet(change):
    """Change a parquet file's table; what made it and its types stay."""

    def edit(file: Path) -> None:
        table = pq.read_table(file)
        frame = change(table.to_pandas())
        pq.write_table(pa.Table.from_pandas(frame, table.schema, preserve_index=False), file)

    return edit


def _cell(column: str, change, where=None):
    """Change one value of a column: the first, or the first where `where` holds."""

    def edit(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].astype(object).copy()
        place = 0 if where is None else int(np.flatnonzero(frame.apply(where, axis=1))[0])
        values.iloc[place] = change(values.iloc[place])
        return frame.assign(**{column: values})

    return edit


def _csv(*cell):
    change = _cell(*cell)

    def edit(file: Path) -> None:
        change(pd.read_csv(file)).to_csv(file, index=False)

    return edit


def _json(*path: str, change=lambda value: value + 0.01):
    def edit(file: Path) -> None:
        top = inner = json.loads(file.read_text())
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = change(inner.get(path[-1]))
        file.write_text(json.dumps(top))

    return edit


def _moved(frame: pd.DataFrame) -> pd.DataFrame:
    """One sample of a group of several in another split."""
    several = frame["group"].value_counts().index[0]
    row = frame.index[frame["group"] == several][0]
    other = {"train": "test", "val": "test", "test": "train"}[frame.loc[row, "split"]]
    return frame.assign(split=frame["split"].where(frame.index != row, other))


def _reversed(frame: pd.DataFrame) -> pd.DataFrame:
    """The five reports of each image, the worst first."""
    reports = frame["report_id"].to_numpy().reshape(-1, 5)[:, ::-1]
    return frame.assign(report_id=reports.ravel())


def _unlearned(file: Path) -> None:
    weights = load_file(file)
    name = next(name for name in weights if "lora_B" in name)
    save_file(weights | {name: np.zeros_like(weights[name])}, file)


PAIRS = "pairs/phantom-clip/phantom-crc.phantom-colon"
MARKED = {"converged": True, "best_epoch": 0, "epochs": 4}
TAMPERED = {  # what a person may change: the check, the file, how, and the words that name it
    "a count of labels": (
        "labels",
        "labels/phantom-bach.frequencies.parquet",
        _parquet(_cell("train", lambda n: n + 1)),
        "in train",
    ),
    "a patient on both sides": (
        "groups",
        "labels/phantom-quilt.parquet",
        _parquet(_moved),
        "groups in ",
    ),
    "a lost vector": (
        "embeddings",
        "embeddings/phantom-clip/phantom-crc.images.parquet",
        _parquet(lambda f: f.iloc[1:]),
        "all items",
    ),
    "a vector of NaN": (
        "embeddings",
        "embeddings/phantom-clip/phantom-crc.images.parquet",
        _parquet(_cell("embedding", lambda v: v * np.nan)),
        "not finite",
    ),
    "a lost prediction": (
        "predictions",
        f"{UNIMODAL}/predictions.parquet",
        _parquet(lambda f: f.iloc[1:]),
        "samples",
    ),
    "a label": (
        "predictions",
        f"{UNIMODAL}/predictions.parquet",
        _parquet(_cell("labels", lambda v: ["MUC"], lambda row: row["labels"][0] != "MUC")),
        "wrong labels",
    ),
    "a rank": (
        "lists",
        f"{PAIRS}.parquet",
        _parquet(_cell("rank", lambda rank: 2)),
        "ranks",
    ),
    "a similarity": (
        "best_reports",
        f"{PAIRS}.parquet",
        _parquet(_cell("similarity", lambda s: s + 1e-3)),
        "similarity",
    ),
    "a worse report": (
        "best_reports",
        f"{PAIRS}.parquet",
        _parquet(_reversed),
        "best report left",
    ),
    "a corrected pairing": (
        "best_reports",
        f"{PAIRS}.sinkhorn.parquet",
        _parquet(_cell("similarity", lambda s: s - 1e-3)),
        "similarity",
    ),
    "hubness": (
        "quality",
        f"{PAIRS}.quality.json",
        _json("gini"),
        "gini",
    ),
    "an epoch": (
        "histories",
        f"{UNIMODAL}/history.parquet",
        _parquet(lambda f: f.iloc[1:]),
        "epochs",
    ),
    "a loss that is no number": (
        "histories",
        f"{UNIMODAL}/history.parquet",
        _parquet(_cell("train_loss", lambda x: np.inf)),
        "not finite",
    ),
    "the best loss": (
        "best_losses",
        f"{UNIMODAL}/history.parquet",
        _parquet(lambda f: f.assign(val_task=f["val_task"] - 1e-3)),
        "least loss on val",
    ),
    "convergence": (
        "convergence",
        f"{UNIMODAL}/metrics.json",
        _json("convergence", change=lambda _: MARKED),
        "epoch",
    ),
    "an adapter without a gradient": (
        "moved",
        f"{LORA}/weights.safetensors",
        _unlearned,
        "trained",
    ),
    "a metric": (
        "metrics_of_runs",
        f"{LORA}/metrics.json",
        _json("splits", "test", "macro_f1"),
        "test macro_f1",
    ),
    "a metric of a class": (
        "metrics_of_runs",
        f"{LORA}/metrics.json",
        _json("splits", "val", "per_class", "ADI", "support"),
        "val ADI support",
    ),
    "a score": (
        "metrics_of_runs",
        f"{LORA}/predictions.parquet",
        _parquet(_cell("scores", lambda s: s[::-1].copy())),
        "",
    ),
    "a temperature": (
        "calibration_of_runs",
        f"{LORA}/metrics.json",
        _json("calibration", "temperature", change=lambda t: 1.2 * t),
        "temperature",
    ),
    "a mean": (
        "means",
        "studies/clip-it.csv",
        _csv("mean", lambda x: x + 1e-3),
        "mean",
    ),
    "a deviation": (
        "means",
        "studies/frozen.csv",
        _csv("std", lambda x: x + 1e-3, lambda row: row["metric"] == "macro_auc"),
        "std",
    ),
    "a number of groups": (
        "means",
        "studies/multi-label.csv",
        _csv("n_groups", lambda n: n + 1),
        "n_groups",
    ),
    "values of no run": (
        "means",
        "studies/frozen.csv",
        _csv("values", lambda _: "0.5;0.6"),
        "are of no run",
    ),
    "an interval": (
        "intervals",
        "studies/multi-label.csv",
        _csv("low", lambda x: x - 0.3, lambda row: row["metric"] == "hamming"),
        "low",
    ),
    "a verdict on a step": (
        "verdicts",
        "studies/clip-it.order.csv",
        _csv("verdict", lambda v: "supported" if v != "supported" else "contradicted"),
        "verdict",
    ),
    "a verdict on a claim": (
        "verdicts",
        "studies/multi-label.claims.csv",
        _csv("verdict", lambda v: "holds" if v != "holds" else "contradicted"),
        "verdict",
    ),
    "what a random split is worth": (
        "leaks",
        "studies/multi-label.leak.csv",
        _csv("by_row", lambda x: x + 0.01),
        "by_row",
    ),
    "a recall": (
        "classes",
        "studies/clip-it.classes.csv",
        _csv("recall", lambda x: x + 0.01),
        "recall",
    ),
    "a calibration error": (
        "calibrations",
        "studies/clip-it.calibration.csv",
        _csv("ece", lambda x: x + 0.01),
        "ece",
    ),
    "a corrected p": (
        "tests",
        "studies/clip-it.tests.csv",
        _csv("p_holm", lambda p: p / 2),
        "p_holm",
    ),
    "a p": (
        "tests",
        "studies/clip-it.tests.csv",
        _csv("p", lambda p: p / 2 + 0.3),
        " p",
    ),
    "half a file": (
        "predictions",
        f"{UNIMODAL}/predictions.parquet",
        lambda file: file.write_bytes(file.read_bytes()[:99]),
        "cannot be checked",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_is_changed_by_hand_is_named(results, what):
    kind, name, change, words = TAMPERED[what]
    file = results / name
    kept = file.read_bytes()
    change(file)
    try:
        said = _said(results, kind)
    finally:
        file.write_bytes(kept)
    named = [line for line in said if line.startswith((f"{file}: ", f"{file.parent}/metrics.json"))]
    assert any(words in line for line in named), said[:3]


def test_chunks_longer_than_the_context_are_named(results):
    file = results / "chunks" / "clip" / "reports.parquet"
    table = pd.DataFrame({"report_id": ["a", "b"], "chunk": [0, 0], "n_tokens": [32, 33]})
    tables.write(file, table, {"context": 32})
    assert f"{file}: chunks above 32 tokens: stated 0, recomputed 1" in _said(results, "chunks")
    shutil.rmtree(file.parents[1])


@pytest.fixture(scope="module")
def exported(world, tmp_path_factory):  # noqa: F811
    """A results folder with one run, the weights of its encoder, and its export."""
    results = tmp_path_factory.mktemp("exported")
    run = make(world, "vision_lora", **METHODS["vision_lora"])
    stage, _ = trainings.train(run, str(results / "resume"))
    folder = results / "runs/tiles/vit/vision_lora/0"
    names = ("weights.safetensors", "history.parquet", "predictions.parquet")
    files = {name.split(".")[0]: str(folder / name) for name in names}
    about = {"task": run.task, "classes": run.classes, "params": {"method": run.method}}
    tables.write(files["predictions"], trainings._predictions(run, stage), about)
    trainings._write_weights(stage.model, files["weights"], about)
    files["metrics"] = str(folder / "metrics.json")
    metrics.score(files["predictions"], files["metrics"], {})
    encoder = results / "encoders/vit/model.safetensors"
    encoder.parent.mkdir(parents=True)
    weights = {name: tensor.numpy() for name, tensor in run.encoder().image.state_dict().items()}
    save_file(weights, encoder)
    write_export(run, files, results / "exports/tiles/vit/vision_lora/0")
    return results


def test_adapters_in_an_export_follow_the_formula(exported):
    artifacts.forget()
    tally = audit.adapters.merged(exported)
    assert tally.checked > 2
    assert tally.disagreements == []


def test_an_update_that_is_counted_twice_is_named(exported):
    file = exported / "exports/tiles/vit/vision_lora/0/model.safetensors"
    kept = file.read_bytes()
    weights, base = load_file(file), load_file(exported / "encoders/vit/model.safetensors")
    twice = {f"image.{k}": 2 * weights[f"image.{k}"] - v for k, v in base.items()}
    save_file(weights | twice, file)
    said = audit.adapters.merged(exported)
    file.write_bytes(kept)
    assert len(said.disagreements) == said.checked > 0


@pytest.fixture(scope="module")
def survival(tmp_path_factory):
    """A results folder with one survival study of two methods, seeds and folds."""
    results = tmp_path_factory.mktemp("survival")
    made, truth = runs(results, {"bad": 20.0, "good": 0.1})
    for run in made:
        place = results / f"survival/s/{run['method']}/{run['seed']}/predictions.parquet"
        place.parent.mkdir(parents=True)
        run["predictions"] = Path(run["predictions"]).rename(place)
    people = tables.read(made[0]["predictions"]).drop_duplicates("patient")
    people = people[["patient", "time", "event", "fold"]].assign(patches=3, slides=[["a"]] * 80)
    tables.write(results / "people.parquet", people, {})
    tables.write(results / "audit.parquet", pd.DataFrame({"step": [], "reason": []}), {})
    evidence = {"patients": results / "people.parquet", "audit": results / "audit.parquet"}
    evidence |= {"truth": truth, "pairs": None, "published": None}
    ends = {name: f"s.{name}" for name in ("csv", "svg", "html")}
    ends |= {"folds": "s.folds.csv", "claims": "s.claims.csv", "curves": "s.curves.svg"}
    output = SimpleNamespace(**{key: results / "survival" / name for key, name in ends.items()})
    study = {"reference": "bad", "methods": ["bad", "good"], "claims": [CLAIM]}
    cohort = {"name": "c", "corpus": "", "description": "", "licence": "CC0", "synthetic": True}
    cohort |= {"retriever": None, "time_unit": "months"}
    write_study(made, "s", study, cohort, evidence, output)
    return results


def test_a_survival_study_agrees_with_what_is_recomputed(survival, capsys):
    assert audit.main([str(survival)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("checked" in line for line in lines if line.startswith("survival")) == 3


@pytest.mark.parametrize(
    "name, column, change",
    [
        ("s.folds.csv", "value", lambda x: x + 0.01),
        ("s.csv", "mean", lambda x: x + 0.01),
        ("s.csv", "std_seeds", lambda x: x + 0.01),
        ("s.claims.csv", "gain", lambda x: x + 0.01),
        ("s.claims.csv", "verdict", lambda _: "not resolved"),
    ],
)
def test_survival_figures_changed_by_hand_are_named(survival, name, column, change):
    file = survival / "survival" / name
    kept = file.read_bytes()
    _csv(column, change)(file)
    said = _said(survival)
    file.write_bytes(kept)
    assert any(line.startswith(f"{file}: ") for line in said)
