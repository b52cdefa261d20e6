"""Survival: metrics against scikit-survival, resampled ones against resampled data, and tables."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sksurv.metrics import concordance_index_censored, cumulative_dynamic_auc

from histopair.errors import InputError
from histopair.evaluation import concordance, follow_up, score, study_tables, tasks
from histopair.files import tables


def cohort(n=40, seed=0, rounded=True):
    """Patients with a risk that says something, tied times and tied risks."""
    rng = np.random.default_rng(seed)
    hazard = rng.normal(size=n)
    time = rng.exponential(10 * np.exp(-hazard)) + 0.5
    frame = pd.DataFrame({"patient": [f"p{i:02d}" for i in range(n)], "time": time})
    if rounded:
        frame["time"] = np.ceil(time)
    return frame.assign(
        event=rng.random(n) < 0.7,
        risk=(hazard + rng.normal(size=n)).round(1),
        log_hazard=hazard,
    )


def test_the_c_index_of_four_patients_by_hand():
    """Comparable: (1, 2), (1, 3), (1, 4), (3, 4); risks agree in (1, 2), (1, 4), tie in (3, 4)."""
    event = [True, False, True, False]
    frame = pd.DataFrame({"time": [1, 2, 3, 4], "event": event, "risk": [2.0, 1.0, 3.0, 3.0]})
    frame.loc[3, "risk"] = 1.0
    frame.loc[2, "risk"] = 3.0
    assert concordance.c_index(frame) == pytest.approx(3 / 4)
    frame["risk"] = [2.0, 1.0, 1.5, 1.5]
    assert concordance.c_index(frame) == pytest.approx(3.5 / 4)


def test_both_metrics_counted_from_pairs_are_those_of_scikit_survival():
    test, known = cohort(), cohort(seed=1)
    once = concordance.resampled(known, test, np.ones((1, len(test)), int))
    assert once["c_index"][0] == pytest.approx(concordance.c_index(test))
    assert once["integrated_auc"][0] == pytest.approx(concordance.integrated_auc(known, test))


def test_a_resampled_c_index_is_that_of_the_repeated_patients():
    test, rng = cohort(), np.random.default_rng(2)
    draws = rng.multinomial(len(test), np.full(len(test), 1 / len(test)), 5)
    found = concordance.resampled(cohort(seed=1), test, draws)["c_index"]
    for value, draw in zip(found, draws, strict=True):
        repeated = test.loc[test.index.repeat(draw)]
        event, time, risk = (repeated[name].to_numpy() for name in ("event", "time", "risk"))
        assert value == pytest.approx(concordance_index_censored(event, time, risk)[0])


def test_the_auc_is_taken_inside_the_follow_up_of_both_parts():
    known, test = cohort(seed=1), cohort(rounded=False)
    times = concordance.times_of(known, test)
    assert len(times) > 2
    assert times.max() < min(test["time"].max(), known["time"].max())
    assert times.min() >= test.loc[test["event"], "time"].min()
    inside = test["time"] < known["time"].max()  # where no end of study is needed
    reference = cumulative_dynamic_auc(
        concordance.outcome(known), concordance.outcome(test[inside]), test["risk"][inside], times
    )[1]
    assert concordance.integrated_auc(known, test[inside]) == pytest.approx(reference)


def test_events_after_the_other_folds_follow_up_need_no_weight():
    known, test = cohort(seed=1), cohort()
    test.loc[0, ["time", "event"]] = [known["time"].max() + 100, True]
    assert 0 < concordance.integrated_auc(known, test) < 1


def test_what_cannot_be_scored_is_missing():
    test = cohort().assign(event=False)
    assert np.isnan(concordance.c_index(test))
    assert np.isnan(concordance.integrated_auc(cohort(seed=1), test))
    draws = np.ones((3, len(test)), int)
    assert np.isnan(concordance.resampled(cohort(seed=1), test, draws)["c_index"]).all()


CONVERGED = pd.DataFrame(
    {"stage": "main", "epoch": [0, 1], "train_loss": 1.0, "train_task": 1.0, "val_task": [1, 2]}
)
ABOUT = {"task": "survival", "classes": ["risk"]}


def runs(folder, noise):
    """Two methods, four seeds, two folds: runs as training, joining and scoring leave them."""
    found = []
    for method, amount in noise.items():
        for seed in range(4):
            rng, parts = np.random.default_rng([seed, int(10 * amount)]), []
            base = cohort(80).assign(place=np.arange(80))
            for fold in (1, 2):
                split = np.where(base["place"] % 2 == fold - 1, "test", "train")
                risk = base["log_hazard"] + amount * rng.normal(size=len(base))
                parts.append(base.assign(fold=fold, split=split, risk=risk))
            place = folder / f"{method}-{seed}"
            predict(place / "predictions.parquet", pd.concat(parts))
            tables.write(place / "history.parquet", CONVERGED, {})
            files = [place / f"{name}" for name in ("predictions.parquet", "history.parquet")]
            score.score(*files, place / "metrics.json", {})
            run = {"dataset": "c", "encoder": "vit", "method": method, "seed": seed}
            paths = {"predictions": files[0], "metrics": place / "metrics.json"}
            found.append(run | paths)
    people = cohort(80)
    truth = people[["patient", "log_hazard"]].rename(columns={"patient": "path"})
    tables.write(folder / "truth.parquet", truth, {"coefficients": {}})
    known = people["patient"]
    samples = pd.DataFrame({"sample_id": known, "image_id": known, "group": known})
    samples = samples.assign(path=known, split="test", fold=np.arange(80) % 2 + 1)
    samples = samples.assign(time=people["time"], event=people["event"])
    samples = samples.assign(sha256=None, labels=[[]] * 80)
    about = {"unit": "patient", "official": [], "params": {"entry": {}}} | ABOUT
    tables.write(folder / "labels.parquet", samples, about)
    return found, {"c": folder / "labels.parquet"}


def predict(path, frame):
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = frame.rename(columns={"patient": "sample_id"})
    table = pa.Table.from_pandas(
        frame[["sample_id", "split", "time", "event", "fold"]], preserve_index=False
    )
    vectors = tables.vectors(frame[["risk"]].to_numpy(np.float32))
    tables.write(path, table.append_column("scores", vectors), ABOUT)


def study(folder, **more):
    truth = {"truths": {"c": str(folder / "truth.parquet")}}
    return {"metric": "c_index", "reference": "bad", "datasets": ["c"]} | truth | more


CLAIM = {"claim": "c", "paper": "", "better": "good", "worse": "bad", "expect": "gain"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survival")
    found, labels = runs(folder, {"bad": 20.0, "good": 0.1})
    claims = [CLAIM, CLAIM | {"expect": "no gain"}]
    return found, study_tables.tabulate(found, labels, "s", study(folder, claims=claims))


def test_a_study_ranks_methods_and_tells_claims(made):
    table = made[1]["table"].set_index(["method", "metric"])
    good, bad = (table.loc[(method, "c_index")] for method in ("good", "bad"))
    assert good["mean"] > bad["mean"] + 0.1 and good["difference_low"] > 0
    assert good["low"] < good["mean"] < good["high"]
    assert (good["n_groups"], good["unit"], good["n_test"]) == (80, "patient", 80)
    assert list(made[1]["claims"]["verdict"]) == ["holds", "contradicted"]


def test_a_metric_is_the_mean_over_the_folds_that_have_it(made):
    runs, found = made
    folds = found["folds"]
    own = folds[(folds["method"] == "good") & (folds["metric"] == "c_index")]
    values = own.pivot(index="seed", columns="fold", values="value")
    assert values.shape == (4, 2)
    table = found["table"].set_index(["method", "metric"]).loc[("good", "c_index")]
    assert table["mean"] == pytest.approx(values.mean(axis=1).mean())
    told = tables.read(runs[4]["predictions"])
    one = told[(told["fold"] == 1) & (told["split"] == "test")]
    risk = one["scores"].str[0].to_numpy(float)
    expected = concordance_index_censored(one["event"], one["time"], risk)[0]
    assert values.loc[0, 1] == pytest.approx(expected)


def test_the_true_hazard_is_the_ceiling(made):
    hazards = made[1]["hazards"].set_index(["method", "metric"])["value"]
    assert hazards[follow_up.TRUTH, "c_index"] > 0.7
    assert hazards["good", follow_up.CORRELATION] > 0.9 > hazards["bad", follow_up.CORRELATION]


def test_risk_groups_are_parted_by_the_median_of_those_beside_the_fold(made):
    runs, found = made
    patients = found["patients"]
    assert (patients.groupby(["method", "seed"])["patient"].nunique() == 80).all()
    told = tables.read(runs[4]["predictions"])
    told = told[told["fold"] == 2].assign(risk=lambda table: table["scores"].str[0].astype(float))
    middle = told.loc[told["split"] != "test", "risk"].median()
    mine = patients[(patients["method"] == "good") & (patients["seed"] == 0)]
    mine = mine[mine["fold"] == 2]
    assert ((mine["risk"] > middle) == mine["high"]).all()
    assert concordance.log_rank(patients[patients["method"] == "good"]) < 0.01


def test_resampling_each_patient_once_gives_the_metric(made):
    from histopair.evaluation import cells

    split = cells.test_split(made[0][0]["predictions"])
    task, count = tasks.of("survival"), len(split["ids"])
    part = split["truth"], split["scores"]
    once = np.ones((1, count), int)
    found = task.replicate(*part, np.arange(count), once, **split["context"])
    stated = task.judge(*part, [], **split["context"])
    for name in ("c_index", "integrated_auc"):
        assert found[name][0] == pytest.approx(stated[name])


def test_runs_of_other_folds_are_not_mixed(tmp_path):
    found, labels = runs(tmp_path, {"good": 0.1})
    other = tables.read(found[1]["predictions"])
    other = other.assign(fold=3 - other["fold"], risk=other["scores"].str[0])
    predict(found[1]["predictions"], other.rename(columns={"sample_id": "patient"}))
    with pytest.raises(InputError, match="labels or folds differ"):
        study_tables.tabulate(found, labels, "s", study(tmp_path, reference="good"))


def test_a_fold_whose_risks_are_alike_does_not_hide_the_correlation_of_the_others(tmp_path):
    hazard = np.arange(8.0)
    patients = [f"p{i}" for i in range(8)]
    truth = pd.DataFrame({"path": patients, "log_hazard": hazard})
    tables.write(tmp_path / "truth", truth, {})
    outcome, fold = np.stack([10 - hazard, np.ones(8)], axis=1), np.repeat([1, 2], 4)
    context = {"fold": fold, "others": {1: outcome[4:], 2: outcome[:4]}}
    risk = np.where(fold == 1, 0.5, hazard)[:, None]
    run = {"seed": 0, "scores": risk, "truth": outcome, "context": context}
    cell = {"task": "survival", "ids": patients, "runs": {"m": [run]}}
    *_, row = follow_up.hazards(cell, {"truth": str(tmp_path / "truth")})
    assert row["metric"] == follow_up.CORRELATION and row["value"] == pytest.approx(1)
