"""How well risks order patients: C-index, integrated AUC, and both under resampling of patients.

Values come from scikit-survival. Its functions take no weights, so resamples are counted from
matrices of pairs, which give the same numbers (tests/test_concordance.py).
"""

import numpy as np
import pandas as pd
from sksurv.compare import compare_survival
from sksurv.exceptions import NoComparablePairException
from sksurv.metrics import concordance_index_censored, cumulative_dynamic_auc
from sksurv.nonparametric import CensoringDistributionEstimator, SurvivalFunctionEstimator
from sksurv.util import Surv

from histopair.evaluation.ranking import ratio

QUANTILES = np.linspace(0.1, 0.8, 8)  # of the event times of the other folds, where AUC is taken
TIED = 1e-8  # risks closer than this are equal, as in scikit-survival


def outcome(frame: pd.DataFrame) -> np.ndarray:
    """time and event of a table as scikit-survival wants them."""
    return Surv.from_arrays(frame["event"].to_numpy(bool), frame["time"].to_numpy(float))


def c_index(test: pd.DataFrame) -> float:
    """Harrell's concordance of risk with time in a table of patients; NaN without a pair."""
    event, time, risk = (test[name].to_numpy() for name in ("event", "time", "risk"))
    try:
        return float(concordance_index_censored(event, time, risk, tied_tol=TIED)[0])
    except (NoComparablePairException, ValueError):
        return float("nan")


def integrated_auc(others: pd.DataFrame, test: pd.DataFrame) -> float:
    """Mean cumulative/dynamic AUC over `times_of`, censoring weighted by the other folds.

    Uno 2007; the mean is weighted by the drop in survival (Lambert and Chevret 2016). NaN where
    no time qualifies.
    """
    times = times_of(others, test)
    if not len(times):
        return float("nan")
    ended = end_of_study(test, times[-1])
    auc = cumulative_dynamic_auc(outcome(others), outcome(ended), ended["risk"], times)
    return float(auc[1])


def times_of(others: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Quantiles of the other folds' event times at which the test fold has cases and controls.

    They lie inside the follow-up of both, as the weighting by censoring requires.
    """
    died, time = test.loc[test["event"], "time"].to_numpy(), test["time"].to_numpy()
    times = np.unique(np.quantile(others.loc[others["event"], "time"], QUANTILES))
    if not len(died):
        return times[:0]
    inside = (times >= died.min()) & (times < min(time.max(), others["time"].max()))
    times = times[inside]
    censoring = CensoringDistributionEstimator().fit(outcome(others))
    return times[censoring.predict_proba(times) > 0] if len(times) else times


def end_of_study(test: pd.DataFrame, last: float) -> pd.DataFrame:
    """Patients followed up to just after the last time of the AUC; what comes later does not count.

    Otherwise an event after the other folds' follow-up would need a weight that does not exist.
    """
    beyond = test["time"] > last
    after = np.nextafter(last, np.inf)
    return test.assign(time=test["time"].where(~beyond, after), event=test["event"] & ~beyond)


def resampled(others: pd.DataFrame, test: pd.DataFrame, draws: np.ndarray) -> dict[str, np.ndarray]:
    """Both metrics where patient i of n is drawn draws[r, i] times: metric -> (resamples,).

    draws: (resamples, n). The censoring weights and the weights of the times stay those of the
    fold. NaN in a resample without a pair.
    """
    event, time, risk = (test[name].to_numpy() for name in ("event", "time", "risk"))
    wins = _wins(risk)
    pairs = event[:, None] & ((time[:, None] < time) | ((time[:, None] == time) & ~event))
    return {
        "c_index": ratio(_total(draws, pairs * wins), _total(draws, pairs)),
        "integrated_auc": _resampled_auc(others, test, draws, wins),
    }


def _resampled_auc(others, test, draws, wins) -> np.ndarray:
    times = times_of(others, test)
    if not len(times):
        return np.full(len(draws), np.nan)
    ended = end_of_study(test, times[-1])
    weight = CensoringDistributionEstimator().fit(outcome(others)).predict_ipcw(outcome(ended))
    survival = SurvivalFunctionEstimator().fit(outcome(ended)).predict_proba(times)
    importance = -np.diff(np.r_[1.0, survival])
    time, event = ended["time"].to_numpy(), ended["event"].to_numpy()
    columns = []
    for moment in times:
        case = np.where(event & (time <= moment), weight, 0.0)
        pairs = case[:, None] * (time > moment)
        columns.append(ratio(_total(draws, pairs * wins), _total(draws, pairs)))
    values = np.stack(columns, axis=1)
    exists = np.isfinite(values)
    return ratio((np.where(exists, values, 0) * importance).sum(1), exists @ importance)


def log_rank(patients: pd.DataFrame) -> float:
    """p of the log-rank test between patients of `high` risk and the others; NaN for one group."""
    if patients["high"].nunique() < 2:
        return float("nan")
    return float(compare_survival(outcome(patients), patients["high"].to_numpy())[1])


def _wins(risk: np.ndarray) -> np.ndarray:
    """1 where patient i has the higher risk of i and j, 1/2 where they are tied, (n, n)."""
    difference = risk[:, None] - risk
    return np.where(np.abs(difference) <= TIED, 0.5, difference > 0)


def _total(draws: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Sum over i and j of draws[r, i] pairs[i, j] draws[r, j], (resamples,)."""
    draws = draws.astype(float)
    return ((draws @ pairs) * draws).sum(1)
