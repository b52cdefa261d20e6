"""The standing check agrees with a finished run, and names what was changed in it by hand."""

import ast
import json
import shutil
from pathlib import Path

import hypothesis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file
from scipy import stats
from test_concordance import CLAIM, runs, study
from test_export import write_export
from test_methods import METHODS, make, world  # noqa: F401

from commands import audit
from histopair.evaluation import convergence, score, study_tables, tasks
from histopair.files import tables
from histopair.training import one_run as trainings
from recompute import artifacts, two_way
from recompute import convergence as recomputed_convergence
from recompute.tally import Tally

ROOT = Path(__file__).parents[1]
UNIMODAL = "runs/phantom-crc/phantom-vit/linear-head/0"
PROBE = "runs/phantom-crc/phantom-vit/linear-probe/0"
LORA = "runs/phantom-crc/phantom-vit/lora/0"


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
    for file in [*(ROOT / "workflow/recompute").glob("*.py"), ROOT / "workflow/commands/audit.py"]:
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
        "adapters in exports, by the formula",
        "survival by fold",
        "risk groups",
        "curves over labels",
        "gates of synthetic worlds",
    }
    assert sum(" checked" in line for line in lines) >= 26
    assert not [line for line in lines if "left out" in line]


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
    return _rows(_cell(*cell))


def _rows(change):
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
CHUNKS = "chunks/phantom-clip/phantom-colon.parquet"
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
        "of_runs",
        f"{UNIMODAL}/metrics.json",
        _json("convergence", "converged", change=lambda said: not said),
        "converged",
    ),
    "a best epoch": (
        "of_runs",
        f"{UNIMODAL}/metrics.json",
        _json("convergence", "stages", change=lambda all_: [all_[0] | {"best_epoch": 0}]),
        "stages",
    ),
    "a lost sentence": (
        "chunks",
        CHUNKS,
        _parquet(_cell("text", lambda text: text.split(maxsplit=1)[1])),
        "another text",
    ),
    "a lost chunk": (
        "chunks",
        CHUNKS,
        _parquet(lambda f: f.iloc[:-1]),
        "sections",
    ),
    "a chunk above the context": (
        "chunks",
        CHUNKS,
        _parquet(_cell("n_tokens", lambda _: 33)),
        "above 32 tokens",
    ),
    "a number of tokens": (
        "tokens",
        CHUNKS,
        _parquet(_cell("n_tokens", lambda n: n - 1)),
        "tokens of row 0",
    ),
    "a pair with no chunk": (
        "paired",
        f"{PAIRS}.parquet",
        _parquet(_cell("chunk", lambda _: 99)),
        "chunks that do not exist",
    ),
    "a probe's score": (
        "probes",
        f"{PROBE}/predictions.parquet",
        _parquet(_cell("scores", lambda s: 0.98 * s + 0.02 * s[::-1])),
        "probability",
    ),
    "a probe's strength": (
        "probes",
        f"{PROBE}/history.parquet",
        _parquet(lambda f: f.assign(strength=100 * f["strength"])),
        "strength",
    ),
    "a teacher of images": (
        "teachers",
        "runs/phantom-crc/phantom-vit/clip-it-image/0/predictions.parquet",
        _parquet(_cell("teacher", lambda v: v[::-1].copy())),
        "off from",
    ),
    "a teacher of labels": (
        "teachers",
        "runs/phantom-crc/phantom-vit/clip-it-label/0/predictions.parquet",
        _parquet(_cell("teacher", lambda v: v[::-1].copy())),
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
        _json("splits", "test", "macro_f1"),
        "test macro_f1",
    ),
    "F1 over absent classes": (
        "metrics_of_runs",
        "runs/phantom-quilt/phantom-clip/zero-shot/0/metrics.json",
        _json("splits", "val", "top3_f1_macro", change=lambda f1: 0.9 * f1),
        "val top3_f1_macro",
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
        f"{PROBE}/metrics.json",
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
        "no run in",
    ),
    "an interval": (
        "intervals",
        "studies/multi-label.csv",
        _csv("low", lambda x: x - 0.3, lambda row: row["metric"] == "hamming"),
        "low",
    ),
    "an interval a little wider": (
        "intervals",
        "studies/multi-label.csv",
        _csv("high", lambda x: x + 1e-3, lambda row: row["metric"] == "macro_ap"),
        "of the other numbers",
    ),
    "an interval that is not there": (
        "intervals",
        "studies/multi-label.csv",
        _csv("low", lambda _: 0.1, lambda row: row["metric"] == "ece"),
        "low",
    ),
    "a share of seeds": (
        "intervals",
        "studies/frozen.csv",
        _csv("seed_share", lambda x: x + 0.3, lambda row: row["seed_share"] < 0.5),
        "seed_share",
    ),
    "a p of a difference": (
        "intervals",
        "studies/clip-it.csv",
        _csv("difference_p", lambda p: 1.01 * p, lambda row: row["difference_p"] < 0.9),
        "of the other numbers",
    ),
    "a unit": (
        "units",
        "studies/multi-label.claims.csv",
        _csv("unit", lambda _: "image"),
        "unit",
    ),
    "runs that have not converged": (
        "means",
        "studies/frozen.csv",
        _csv("not_converged", lambda n: 0),
        "not_converged",
    ),
    "a loss on validation": (
        "below_probes",
        "studies/clip-it.csv",
        _csv("val_loss", lambda loss: loss + 0.01),
        "val_loss",
    ),
    "a probe that a method is said to be below": (
        "below_probes",
        "studies/clip-it.csv",
        _csv("below_probe", lambda _: "lora", lambda row: row["method"] == "linear-probe"),
        "below_probe",
    ),
    "a claim on runs that have not converged": (
        "verdicts",
        "studies/multi-label.claims.csv",
        _csv("not_converged", lambda _: ""),
        "not converged",
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
    "the interval of what a random split is worth": (
        "leaks",
        "studies/multi-label.leak.csv",
        _csv("high", lambda x: x + 0.1, lambda row: row["metric"] == "macro_auc"),
        "high",
    ),
    "an area of a class": (
        "classes",
        "studies/clip-it.classes.csv",
        _csv("auc", lambda x: x + 0.01),
        "auc",
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
    "a p of the models as they are": (
        "tests",
        "studies/clip-it.tests.csv",
        _csv("p_groups", lambda p: p / 2 + 0.4),
        "p_groups",
    ),
    "an effect": (
        "tests",
        "studies/clip-it.tests.csv",
        _csv("effect_groups", lambda x: 2 * x + 1),
        "effect_groups",
    ),
    "a p of cells that are not combined": (
        "tests",
        "studies/multi-label.tests.csv",
        _rows(lambda table: pd.concat([table, table.iloc[:1].assign(dataset="*", encoder="*")])),
        "combined",
    ),
    "what is reached elsewhere": (
        "elsewhere",
        "studies/external.external.csv",
        _csv("mean", lambda x: x + 0.01),
        "mean",
    ),
    "a calibration elsewhere": (
        "elsewhere",
        "studies/external.external.csv",
        _csv("ece_outside", lambda x: x + 0.01),
        "ece_outside",
    ),
    "an interval of what is lost": (
        "elsewhere",
        "studies/external.external.csv",
        _csv("difference_high", lambda x: x + 0.5),
        "difference high",
    ),
    "a site's metric": (
        "sites",
        "studies/external.sites.csv",
        _csv("mean", lambda x: x + 0.01),
        "mean",
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


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_metrics_that_need_more_classes_are_not_expected(classes):
    rng = np.random.default_rng(classes)
    truth, scores = rng.random((30, classes)) < 0.4, rng.random((30, classes))
    names = [f"c{i}" for i in range(classes)]
    ids = np.arange(30).astype(str)
    made = artifacts.Predictions(ids, np.full(30, "test"), truth, scores, names, "multi")
    found, stated = audit.metrics.scalars(made), tasks.of("multi").judge(truth, scores, names)
    assert {name: stated[name] for name in found} == pytest.approx(found)
    assert [found[f"label_accuracy_{k}"] is None for k in (1, 2, 3)] == [
        k >= classes for k in (1, 2, 3)
    ]


LOSSES = hypothesis.strategies.lists(hypothesis.strategies.floats(0.5, 2), min_size=1, max_size=40)


@hypothesis.given(train=LOSSES, val=LOSSES)
def test_convergence_is_told_alike_by_both(train, val):
    epochs = min(len(train), len(val))
    history = {"stage": "main", "train_loss": train[:epochs], "val_task": val[:epochs]}
    history = pd.DataFrame(history | {"train_task": train[:epochs]})
    said, (own,) = convergence.judge(history), audit.convergence.stages(history)
    assert said["converged"] == own["converged"]
    assert said["stages"][0]["best_epoch"] == own["best_epoch"]


@pytest.mark.parametrize("p, agrees", [(0.02 * (1 - np.log(0.02)), True), (0.05, False)])
def test_a_combined_p_is_fishers_of_the_cells_that_have_one(tmp_path, p, agrees):
    """Of .1 and .2: P(chi-squared of 4 > -2 log .02) = .02 (1 - log .02)."""
    rows = [("a", 0.1, 0.3, None), ("b", 0.2, 0.1, None), ("c", None, 0.5, None)]
    rows += [("leaky", 0.9, 0.9, None), ("*", p, 0.2, 2)]
    table = pd.DataFrame(rows, columns=["dataset", "p_better", "gain", "cells"])
    table = table.assign(method="m", p_seeds_better=np.nan)
    tally = Tally("tests")
    audit.p_values._fisher(tally, tmp_path, table, {"leaky"})
    assert (tally.disagreements == []) == agrees


def test_stuck_seeds_are_counted_as_the_studies_count_them():
    random, counts = np.random.default_rng(0), []
    for _ in range(200):
        histories = [_history(random) for _ in range(random.integers(1, 6))]
        judged = [convergence.judge(history) for history in histories]
        counts.append(convergence.unfinished(judged))
        assert recomputed_convergence.unfinished(histories) == counts[-1]
    assert len(set(counts)) > 2


def _history(random) -> pd.DataFrame:
    rows = [
        pd.DataFrame({"stage": stage, "train_task": losses, "train_loss": 1.0, "val_task": val})
        for stage in ("text", "main")
        for losses, val in [(1 + random.uniform(0, 0.4) * random.random(6), random.random(6))]
    ]
    return pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_two_way_interval_by_hand(tmp_path, seeds):
    """A mean of 20 groups of ones and zeros: variance p (1 - p) / 19, and that of the seeds."""
    draws = np.random.default_rng(0).multinomial(20, [0.05] * 20, 20_000)
    replicates = draws[:, :10].sum(1) / 20
    values = np.array([0.5, 0.4, 0.6])[:seeds]
    of_groups, of_seeds = 0.25 / 19, 0.01 / 3 if seeds == 3 else 0.0
    total = of_groups + of_seeds
    t = {1: stats.t.ppf(0.975, 19), 3: 2.3901351}[seeds]
    if seeds == 3:
        beyond = of_groups * stats.t.sf(t, 19) + of_seeds * stats.t.sf(t, 2)
        assert beyond / total == pytest.approx(0.025, abs=1e-6)
    reach = t * np.sqrt(total)
    share = of_seeds / total if seeds == 3 else None
    for off, agrees in ((0.0, True), (0.01, False)):
        stated = {"low": 0.5 - reach, "high": 0.5 + reach + off, "seed_share": share}
        tally = Tally("by hand")
        groups = two_way.of_groups(replicates, 20, 1000)
        of = two_way.of_seeds(values)
        two_way.check(tally, tmp_path, "mean", stated, 0.5, groups, of, 0.0)
        assert (tally.disagreements == []) == agrees


EXPORTS = [("lora", "vit"), ("lora", "clip"), ("contrastive", "clip")]


@pytest.fixture(scope="module", params=EXPORTS, ids="-".join)
def exported(request, world, tmp_path_factory):  # noqa: F811
    """A results folder with one run, the weights of its encoder, and its export.

    timm's towers have packed projections, open_clip's torch's attention.
    """
    recipe, encoder = request.param
    results = tmp_path_factory.mktemp("exported")
    run = make(world, recipe, **METHODS[recipe] | {"encoder": encoder})
    stage, _ = trainings.train(run, str(results / "resume"))
    names = ("weights.safetensors", "history.parquet", "predictions.parquet")
    folder = results / f"runs/tiles/{encoder}/{recipe}/0"
    files = {name.split(".")[0]: str(folder / name) for name in names}
    about = {
        "task": run.about["task"],
        "classes": run.classes,
        "params": {"run": {"method": run.method}},
    }
    tables.write(files["predictions"], trainings._predictions(run, stage), about)
    tables.write(files["history"], pd.DataFrame(stage.history), about)
    trainings.write_weights(stage.model, files["weights"], about)
    files["metrics"] = str(folder / "metrics.json")
    score.score(files["predictions"], files["history"], files["metrics"], {})
    (results / "encoders" / encoder).mkdir(parents=True)
    for file in (world["folder"] / encoder).glob("*.safetensors"):
        shutil.copy(file, results / "encoders" / encoder)
    write_export(run, files, results / f"exports/tiles/{encoder}/{recipe}/0")
    return results


def _adapted(results: Path, tower: str) -> int:
    weights = load_file(next(results.glob("runs/*/*/*/*/weights.safetensors")))
    return sum(("lora_A" in k or "embedding_A" in k) and k.startswith(tower) for k in weights)


def test_all_adapters_in_an_export_follow_the_formula(exported):
    artifacts.forget()
    tally = audit.adapters.merged(exported)
    assert tally.disagreements == []
    assert tally.checked == _adapted(exported, ("image", "backbone")) > 8
    assert tally.left == _adapted(exported, "text"), "of a tower that is not exported"


def test_an_update_that_is_counted_twice_is_named(exported):
    (file,) = exported.glob("exports/*/*/*/*/model.safetensors")
    (base,) = exported.glob("encoders/*/*.safetensors")
    kept, weights, before = file.read_bytes(), load_file(file), load_file(base)
    ends = {name.removeprefix("visual."): tensor for name, tensor in before.items()}
    twice = {
        f"image.{k}": 2 * weights[f"image.{k}"] - v
        for k, v in ends.items()
        if f"image.{k}" in weights
    }
    save_file(weights | twice, file)
    said = audit.adapters.merged(exported)
    file.write_bytes(kept)
    assert len(said.disagreements) == said.checked > 0


@pytest.fixture(scope="module")
def survival(tmp_path_factory):
    """A results folder with one survival study of two methods, seeds and folds."""
    results = tmp_path_factory.mktemp("survival")
    made, labels = runs(results, {"bad": 20.0, "good": 0.1})
    (results / "labels").mkdir()
    labels = {"c": labels["c"].rename(results / "labels" / "c.parquet")}
    for run in made:
        place = results / f"runs/c/vit/{run['method']}/{run['seed']}"
        place.parent.mkdir(parents=True, exist_ok=True)
        Path(run["predictions"]).parent.rename(place)
        run |= {"predictions": place / "predictions.parquet", "metrics": place / "metrics.json"}
    given = study(results, claims=[CLAIM], title="Ours", description="")
    (results / "studies").mkdir()
    for name, table in study_tables.tabulate(made, labels, "s", given).items():
        table.to_csv(
            results / "studies" / study_tables.file("s", name), index=False, float_format="%.6g"
        )
    return results


def test_a_survival_study_agrees_with_what_is_recomputed(survival, capsys):
    assert audit.main([str(survival)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "All agree."
    said = [line for line in lines if line.startswith(("survival by fold", "risk groups"))]
    assert sum("checked" in line for line in said) == 2


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
    kept = file.read_bytes()
    _csv(column, change)(file)
    said = _said(survival)
    file.write_bytes(kept)
    assert any(line.startswith(f"{file}: ") for line in said)
