"""The standing check names what was changed by hand in runs."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from tampering import assert_named, cell, disagreements, json_value, parquet_table

from recompute import training
from recompute.tally import Tally


def _unlearned(file: Path) -> None:
    weights = load_file(file)
    name = next(name for name in weights if "lora_B" in name)
    save_file(weights | {name: np.zeros_like(weights[name])}, file)


def _infinite(file: Path) -> None:
    name, values = next(iter((weights := load_file(file)).items()))
    save_file(weights | {name: values + np.inf}, file)


UNIMODAL = "runs/phantom-crc/phantom-vit/linear-head/0"
PROBE = "runs/phantom-crc/phantom-vit/linear-probe/0"
LORA = "runs/phantom-crc/phantom-vit/lora/0"
TAMPERED = {  # the check, the file, how it is changed, words of the disagreement
    "a lost prediction": (
        "predictions",
        f"{UNIMODAL}/predictions.parquet",
        parquet_table(lambda f: f.iloc[1:]),
        "samples",
    ),
    "a label": (
        "predictions",
        f"{UNIMODAL}/predictions.parquet",
        parquet_table(cell("labels", lambda v: ["MUC"], lambda row: row["labels"][0] != "MUC")),
        "wrong labels",
    ),
    "an epoch": (
        "histories",
        f"{UNIMODAL}/history.parquet",
        parquet_table(lambda f: f.iloc[1:]),
        "epochs",
    ),
    "a loss that is no number": (
        "histories",
        f"{UNIMODAL}/history.parquet",
        parquet_table(cell("train_loss", lambda x: np.inf)),
        "not finite",
    ),
    "the best loss": (
        "best_losses",
        f"{UNIMODAL}/history.parquet",
        parquet_table(lambda f: f.assign(val_task=f["val_task"] - 1e-3)),
        "least loss on val",
    ),
    "convergence": (
        "of_runs",
        f"{UNIMODAL}/metrics.json",
        json_value("convergence", "converged", change=lambda converged: not converged),
        "converged",
    ),
    "a best epoch": (
        "of_runs",
        f"{UNIMODAL}/metrics.json",
        json_value("convergence", "stages", change=lambda all_: [all_[0] | {"best_epoch": 0}]),
        "stages",
    ),
    "weights of another run": (
        "scores",
        f"{UNIMODAL}/weights.safetensors",
        lambda file: shutil.copyfile(file.parent.with_name("1") / file.name, file),
        "of a score from its own",
    ),
    "weights that are no numbers": (
        "weights",
        f"{LORA}/weights.safetensors",
        _infinite,
        "not finite",
    ),
    "a probe's score": (
        "probes",
        f"{PROBE}/predictions.parquet",
        parquet_table(cell("scores", lambda s: 0.98 * s + 0.02 * s[::-1])),
        "probability",
    ),
    "a probe's strength": (
        "probes",
        f"{PROBE}/history.parquet",
        parquet_table(lambda f: f.assign(strength=100 * f["strength"])),
        "strength",
    ),
    "a teacher of images": (
        "teachers",
        "runs/phantom-crc/phantom-vit/clip-it-image/0/predictions.parquet",
        parquet_table(cell("teacher", lambda v: v[::-1].copy())),
        "off from",
    ),
    "a teacher of labels": (
        "teachers",
        "runs/phantom-crc/phantom-vit/clip-it-label/0/predictions.parquet",
        parquet_table(cell("teacher", lambda v: v[::-1].copy())),
        "several vectors",
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
        json_value("splits", "test", "macro_f1"),
        "test macro_f1",
    ),
    "F1 over absent classes": (
        "metrics_of_runs",
        "runs/phantom-quilt/phantom-clip/zero-shot/0/metrics.json",
        json_value("splits", "val", "top3_f1_macro", change=lambda f1: 0.9 * f1),
        "val top3_f1_macro",
    ),
    "a metric of a class": (
        "metrics_of_runs",
        f"{LORA}/metrics.json",
        json_value("splits", "val", "per_class", "ADI", "support"),
        "val ADI support",
    ),
    "a score": (
        "metrics_of_runs",
        f"{LORA}/predictions.parquet",
        parquet_table(cell("scores", lambda s: s[::-1].copy())),
        "",
    ),
    "a temperature": (
        "calibration_of_runs",
        f"{PROBE}/metrics.json",
        json_value("calibration", "temperature", change=lambda t: 1.2 * t),
        "temperature",
    ),
    "half a file": (
        "predictions",
        f"{UNIMODAL}/predictions.parquet",
        lambda file: file.write_bytes(file.read_bytes()[:99]),
        "cannot be checked",
    ),
}


@pytest.mark.parametrize("kind, name, change, words", TAMPERED.values(), ids=TAMPERED)
def test_what_is_changed_by_hand_is_named(finished_run, kind, name, change, words):
    assert_named(finished_run / "results", kind, name, change, words)


def test_lost_weights_are_named(finished_run):
    results = finished_run / "results"
    file = results / f"{LORA}/weights.safetensors"
    kept = file.rename(file.with_suffix(".kept"))
    try:
        assert f"{file}: cannot be checked" in disagreements(results, "weights")[0]
    finally:
        kept.rename(file)


@pytest.mark.parametrize(
    ("losses", "ended"),
    [([1.0, 0.9, 0.95, 0.9], True), ([1.0, 0.9, 0.8, 0.9], False), ([1.0, 1.0], False)],
)
def test_a_training_ends_early_only_with_patience_out(tmp_path, losses, ended):
    """Lost epochs look like an early end, and a training may have been far from its best."""
    tally, method = Tally("histories"), {"epochs": 9, "patience": 2}
    training._settings(tally, tmp_path, pd.DataFrame({"val_task": losses}), method)
    assert bool(tally.disagreements) != ended
