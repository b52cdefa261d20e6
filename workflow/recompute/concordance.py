"""Metrics of survival by scikit-survival, from the risks of every fold, and Cox's loss."""

import numpy as np
import pandas as pd
from sksurv.metrics import concordance_index_censored, cumulative_dynamic_auc
from sksurv.nonparametric import CensoringDistributionEstimator
from sksurv.util import Surv

from recompute.artifacts import Predictions

METRICS = ("c_index", "integrated_auc")
SHARES = np.linspace(0.1, 0.8, 8)  # quantiles of the other folds' event times
TIED = 1e-8  # risks closer than this are equal, as in scikit-survival


def scalars(run: Predictions) -> dict[str, float | None]:
    """Both metrics of one split: means over the folds that have them."""
    folds = [of_fold(run, fold) for fold in run.others]
    return {name: _mean([metrics[name] for metrics in folds]) for name in METRICS}


def replicates(test: Predictions, groups: np.ndarray, draws: np.ndarray) -> dict[str, np.ndarray]:
    """The C-index in each resample, a mean over folds; the AUC is not resampled here."""
    folds = [_c_indices(test, fold, draws[:, groups[test.fold == fold]]) for fold in test.others]
    return {"c_index": _nanmean(np.stack(folds))}


def of_fold(run: Predictions, fold: int) -> dict[str, float | None]:
    inside = run.fold == fold
    test = pd.DataFrame(run.truth[inside], columns=["time", "event"])
    test = test.assign(event=test["event"] > 0, risk=run.scores[inside, 0])
    others = pd.DataFrame(run.others[fold], columns=["time", "event"])
    others = others.assign(event=others["event"] > 0)
    return {"c_index": _c_index(test), "integrated_auc": _integrated_auc(others, test)}


def cox_loss(run: Predictions) -> float:
    """Negative log partial likelihood per event, by Efron, one event at a time."""
    (time, event), hazard = run.truth.T, np.exp(run.scores[:, 0])
    terms = []
    for moment in np.unique(time[event == 1]):
        dying = np.flatnonzero((time == moment) & (event == 1))
        at_risk, ties = hazard[time >= moment].sum(), hazard[dying].sum()
        for place, patient in enumerate(dying):
            terms.append(np.log((at_risk - place / len(dying) * ties) / hazard[patient]))
    return float(np.mean(terms))


def _c_index(test: pd.DataFrame) -> float | None:
    try:
        return concordance_index_censored(test["event"], test["time"], test["risk"])[0]
    except ValueError:  # scikit-survival's: no pair can be compared
        return None


def _integrated_auc(others: pd.DataFrame, test: pd.DataFrame) -> float | None:
    """Mean cumulative/dynamic AUC at quantiles of the other folds' event times, by their censoring.

    Uses only times between the fold's first event and the end of the shorter follow-up.
    """
    died = test.loc[test["event"], "time"]
    if died.empty:
        return None
    times = np.unique(np.quantile(others.loc[others["event"], "time"], SHARES))
    times = times[(times >= died.min()) & (times < min(test["time"].max(), others["time"].max()))]
    if len(times):
        left = CensoringDistributionEstimator().fit(_outcome(others)).predict_proba(times)
        times = times[left > 0]
    if not len(times):
        return None
    late = test["time"] > times[-1]  # follow-up is cut just after the last time
    until = np.nextafter(times[-1], np.inf)
    cut = test.assign(time=test["time"].mask(late, until), event=test["event"] & ~late)
    return cumulative_dynamic_auc(_outcome(others), _outcome(cut), cut["risk"], times)[1]


def _outcome(frame: pd.DataFrame) -> np.ndarray:
    return Surv.from_arrays(frame["event"].to_numpy(bool), frame["time"].to_numpy(float))


def _c_indices(test: Predictions, fold: int, draws: np.ndarray) -> np.ndarray:
    """Harrell's C in which each patient counts as often as drawn."""
    inside = test.fold == fold
    (time, event), risk = test.truth[inside].T, test.scores[inside, 0]
    later = (time > time[:, None]) | ((time == time[:, None]) & (event == 0))
    pairs = (event[:, None] == 1) & later
    ahead = risk[:, None] - risk
    wins = pairs * np.where(np.abs(ahead) <= TIED, 0.5, ahead > 0)
    sums = [((draws @ matrix.astype(float)) * draws).sum(1) for matrix in (wins, pairs)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[0] / sums[1]


def _nanmean(values: np.ndarray) -> np.ndarray:
    exists = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(exists, values, 0).sum(0) / exists.sum(0)


def _mean(values: list[float | None]) -> float | None:
    exist = [value for value in values if value is not None]
    return float(np.mean(exist)) if exist else None
