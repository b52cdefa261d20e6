"""The standing check of a survival study: it agrees, and names what was changed by hand."""

from pathlib import Path

import pytest
from tampering import csv_cell, disagreements_after
from test_concordance import CLAIM, runs, study

from commands import audit
from histopair.evaluation import study_tables


@pytest.fixture(scope="module")
def survival(tmp_path_factory):
    """A results folder with one survival study of two methods, seeds and folds."""
    results = tmp_path_factory.mktemp("survival")
    trained, labels = runs(results, {"bad": 20.0, "good": 0.1})
    (results / "labels").mkdir()
    labels = {"c": labels["c"].rename(results / "labels" / "c.parquet")}
    for run in trained:
        place = results / f"runs/c/vit/{run['method']}/{run['seed']}"
        place.parent.mkdir(parents=True, exist_ok=True)
        Path(run["predictions"]).parent.rename(place)
        run |= {"predictions": place / "predictions.parquet", "metrics": place / "metrics.json"}
    given = study(results, claims=[CLAIM], title="Ours", description="")
    (results / "studies").mkdir()
    for name, table in study_tables.tabulate(trained, labels, "s", given).items():
        table.to_csv(
            results / "studies" / study_tables.file("s", name), index=False, float_format="%.6g"
        )
    return results


def test_a_survival_study_agrees_with_what_is_recomputed(survival, capsys):
    assert audit.main([str(survival)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "All agree."
    checks = [line for line in lines if line.startswith(("survival by fold", "risk groups"))]
    assert sum("checked" in line for line in checks) == 2


@pytest.mark.parametrize(
    "name, column, change",
    [
        ("s.folds.csv", "value", lambda x: x + 0.01),
        ("s.csv", "mean", lambda x: x + 0.01),
        ("s.csv", "std", lambda x: x + 0.01),
        ("s.csv", "not_converged", lambda n: n + 1),
        ("s.csv", "low", lambda x: x - 0.02),
        ("s.claims.csv", "gain", lambda x: x + 0.01),
        ("s.claims.csv", "p", lambda p: p / 2 + 1e-3),
        ("s.claims.csv", "verdict", lambda _: "not resolved"),
        ("s.patients.csv", "high", lambda high: not high),
    ],
)
def test_survival_figures_changed_by_hand_are_named(survival, name, column, change):
    file = survival / "studies" / name
    lines = disagreements_after(csv_cell(column, change), file, survival)
    assert any(line.startswith(f"{file}: ") for line in lines)
