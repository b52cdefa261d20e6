"""Scores of a survival study against scikit-survival, resampled scores against resampled data."""

import numpy as np
import pandas as pd
import pytest
from sksurv.metrics import concordance_index_censored, cumulative_dynamic_auc

from histopair.errors import InputError
from histopair.files import tables
from histopair.survival import evaluation, tabulate


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
    assert evaluation.c_index(frame) == pytest.approx(3 / 4)
    frame["risk"] = [2.0, 1.0, 1.5, 1.5]
    assert evaluation.c_index(frame) == pytest.approx(3.5 / 4)


def test_both_metrics_counted_from_pairs_are_those_of_scikit_survival():
    test, known = cohort(), cohort(seed=1)
    once = evaluation.resampled(known, test, np.ones((1, len(test)), int))
    assert once["c_index"][0] == pytest.approx(evaluation.c_index(test))
    assert once["integrated_auc"][0] == pytest.approx(evaluation.integrated_auc(known, test))


def test_a_resampled_c_index_is_that_of_the_repeated_patients():
    test, rng = cohort(), np.random.default_rng(2)
    draws = rng.multinomial(len(test), np.full(len(test), 1 / len(test)), 5)
    found = evaluation.resampled(cohort(seed=1), test, draws)["c_index"]
    for value, draw in zip(found, draws, strict=True):
        repeated = test.loc[test.index.repeat(draw)]
        event, time, risk = (repeated[name].to_numpy() for name in ("event", "time", "risk"))
        assert value == pytest.approx(concordance_index_censored(event, time, risk)[0])


def test_the_auc_is_taken_inside_the_follow_up_of_both_parts():
    known, test = cohort(seed=1), cohort(rounded=False)
    times = evaluation.times_of(known, test)
    assert len(times) > 2
    assert times.max() < min(test["time"].max(), known["time"].max())
    assert times.min() >= test.loc[test["event"], "time"].min()
    inside = test["time"] < known["time"].max()  # where no end of study is needed
    reference = cumulative_dynamic_auc(
        evaluation.outcome(known), evaluation.outcome(test[inside]), test["risk"][inside], times
    )[1]
    assert evaluation.integrated_auc(known, test[inside]) == pytest.approx(reference)


def test_events_after_the_other_folds_follow_up_need_no_weight():
    known, test = cohort(seed=1), cohort()
    test.loc[0, ["time", "event"]] = [known["time"].max() + 100, True]
    assert 0 < evaluation.integrated_auc(known, test) < 1


def test_what_cannot_be_scored_is_missing():
    test = cohort().assign(event=False)
    assert np.isnan(evaluation.c_index(test))
    assert np.isnan(evaluation.integrated_auc(cohort(seed=1), test))
    draws = np.ones((3, len(test)), int)
    assert np.isnan(evaluation.resampled(cohort(seed=1), test, draws)["c_index"]).all()


CONVERGED = pd.DataFrame(
    {"stage": "main", "epoch": [0, 1], "train_loss": 1.0, "train_task": 1.0, "val_task": [1, 2]}
)


def runs(folder, noise):
    """Two methods, four seeds, two folds: predictions as training writes them."""
    found = []
    for method, amount in noise.items():
        for seed in range(4):
            rng, parts = np.random.default_rng([seed, int(10 * amount)]), []
            base = cohort(80).assign(place=np.arange(80))
            for fold in (0, 1):
                split = np.where(base["place"] % 2 == fold, "test", "train")
                risk = base["log_hazard"] + amount * rng.normal(size=len(base))
                parts.append(base.assign(fold=fold, split=split, risk=risk))
            path = folder / f"{method}-{seed}.parquet"
            kept = ["patient", "time", "event", "fold", "split", "risk"]
            tables.write(path, pd.concat(parts)[kept], {})
            found.append({"method": method, "seed": seed, "predictions": path})
            found[-1]["history"] = folder / f"{method}-{seed}.history.parquet"
            tables.write(found[-1]["history"], CONVERGED, {})
    truth = cohort(80)[["patient", "log_hazard"]].rename(columns={"patient": "path"})
    tables.write(folder / "truth.parquet", truth, {"coefficients": {}})
    return found, str(folder / "truth.parquet")


CLAIM = {"claim": "c", "paper": "", "better": "good", "worse": "bad"}
CLAIM |= {"metric": "c_index", "expect": "gain", "margin": 0.01}


def test_a_study_ranks_methods_and_knows_its_ceiling(tmp_path):
    made, truth = runs(tmp_path, {"bad": 20.0, "good": 0.1})
    scores, replicates = tabulate.evaluate(tabulate.read(made, truth))
    unfinished = tabulate.not_converged(made)
    assert unfinished == {"bad": 0, "good": 0}
    table = tabulate.summarise(scores, replicates, {"reference": "bad"}, None, unfinished)
    table = table.set_index(["method", "metric"])
    c_index = table.xs("c_index", level="metric")
    assert c_index["mean"]["good"] > c_index["mean"]["bad"] + 0.1
    assert c_index["difference_low"]["good"] > 0
    own = scores[(scores["method"] == "good") & (scores["metric"] == "c_index")]
    assert c_index["mean"]["good"] == pytest.approx(own["value"].mean())
    assert (c_index["low"] < c_index["mean"]).all()
    assert table.loc[("good", "truth"), "mean"] > 0.9
    assert table.loc[(tabulate.TRUTH, "c_index"), "n_seeds"] == 1
    claims = [CLAIM, CLAIM | {"expect": "no gain"}]
    verdicts = tabulate.verdicts(scores, replicates, {"claims": claims}, unfinished)
    assert list(verdicts["verdict"]) == ["holds", "contradicted"]
    undecided = tabulate.verdicts(scores, replicates, {"claims": claims}, {"bad": 0, "good": 1})
    assert list(undecided["verdict"]) == ["not decided"] * 2
    assert verdicts["margin"].isna().tolist() == [True, False], "a gain has no margin"


def test_risk_groups_are_parted_by_the_other_folds_median(tmp_path):
    made, truth = runs(tmp_path, {"good": 0.1})
    predictions = tabulate.read(made, truth)
    grouped = tabulate.groups(predictions)
    assert (grouped.groupby(["method", "seed"])["patient"].nunique() == 80).all()
    one = predictions[(predictions["method"] == "good") & (predictions["seed"] == 0)]
    one = one[one["fold"] == 1]
    median = one.loc[one["split"] != "test", "risk"].median()
    mine = grouped[(grouped["method"] == "good") & (grouped["seed"] == 0) & (grouped["fold"] == 1)]
    assert ((mine["risk"] > median) == mine["high"]).all()
    assert (tabulate.log_ranks(grouped)["p"] < 0.01).all()


def test_runs_of_other_folds_are_not_mixed(tmp_path):
    made, truth = runs(tmp_path, {"good": 0.1})
    other = tables.read(made[1]["predictions"])
    tables.write(made[1]["predictions"], other.assign(fold=1 - other["fold"]), {})
    with pytest.raises(InputError, match="its patients or folds differ"):
        tabulate.read(made, truth)
