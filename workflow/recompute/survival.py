"""Survival studies by scikit-survival, from the risks of every fold: metrics and their tables."""

from pathlib import Path

import numpy as np
import pandas as pd
from sksurv.metrics import concordance_index_censored, cumulative_dynamic_auc
from sksurv.nonparametric import CensoringDistributionEstimator
from sksurv.util import Surv

from recompute import artifacts, convergence
from recompute.tally import Tally

PRINTED = 1e-6  # tables have six digits
SHARES = np.linspace(0.1, 0.8, 8)  # quantiles of the other folds' event times


def folds(results: Path) -> Tally:
    """C-index and integrated AUC of every method, seed and fold."""
    tally = Tally("survival metrics of folds")
    for study, table in studies(results):
        file = study.with_suffix(".folds.csv")
        with tally.reading(file):
            for row in artifacts.csv(file).to_dict("records"):
                if row["metric"] in METRICS:
                    part = table[
                        (table["method"] == row["method"]) & (table["seed"] == int(row["seed"]))
                    ]
                    part = part[part["fold"] == int(row["fold"])]
                    if len(part):
                        value = METRICS[row["metric"]](part)
                        place = (
                            f"{row['method']} seed {row['seed']} fold {row['fold']} {row['metric']}"
                        )
                        tally.equal(file, place, row["value"], value, PRINTED)
    return tally


def tables(results: Path) -> Tally:
    """Means over folds and seeds, their deviations, and differences to the reference."""
    tally = Tally("survival tables")
    for study, _ in studies(results):
        with tally.reading(study):
            scores = artifacts.csv(study.with_suffix(".folds.csv"))
            grids = {
                key: part.pivot(index="seed", columns="fold", values="value").to_numpy(float)
                for key, part in scores.groupby(["method", "metric"], sort=False)
            }
            for row in artifacts.csv(study).to_dict("records"):
                if (row["method"], row["metric"]) in grids:  # the phantom's true hazard has no run
                    _row(tally, study, row, grids)
    return tally


def _row(tally: Tally, file: Path, row: dict, grids: dict[tuple[str, str], np.ndarray]) -> None:
    grid = grids[row["method"], row["metric"]]
    seeds, spread = np.nanmean(grid, axis=1), np.nanmean(grid, axis=0)
    expected = {
        "mean": seeds.mean(),
        "std_seeds": seeds.std(ddof=1) if len(seeds) > 1 else None,
        "std_folds": np.nanstd(spread, ddof=1) if len(spread) > 1 else None,
        "n_seeds": len(seeds),
    }
    base = grids.get((row["reference"], row["metric"]))
    if base is not None and not pd.isna(row["difference"]):
        expected["difference"] = seeds.mean() - np.nanmean(base, axis=1).mean()
    expected["not_converged"] = unfinished(file, row["method"])
    for name, value in expected.items():
        tally.equal(file, f"{row['method']} {row['metric']} {name}", row[name], value, 2 * PRINTED)


def unfinished(study: Path, method: str) -> int:
    """How many of the method's runs have not converged, in any fold."""
    files = sorted((study.with_suffix("") / method).glob("*/history.parquet"))
    return convergence.unfinished([artifacts.table(file) for file in files])


def _c_index(part: pd.DataFrame) -> float | None:
    test = part[part["split"] == "test"]
    event, time, risk = (test[name].to_numpy() for name in ("event", "time", "risk"))
    try:
        return concordance_index_censored(event.astype(bool), time.astype(float), risk)[0]
    except ValueError:  # scikit-survival's: no pair can be compared
        return None


def _integrated_auc(part: pd.DataFrame) -> float | None:
    """Mean cumulative/dynamic AUC at quantiles of the other folds' event times, censoring theirs.

    Only times between the first event of the fold and the end of either's follow-up are taken.
    """
    test, known = part[part["split"] == "test"], part[part["split"] != "test"]
    died = test.loc[test["event"].astype(bool), "time"]
    if died.empty:
        return None
    times = np.unique(np.quantile(known.loc[known["event"].astype(bool), "time"], SHARES))
    times = times[(times >= died.min()) & (times < min(test["time"].max(), known["time"].max()))]
    if len(times):
        left = CensoringDistributionEstimator().fit(_outcome(known)).predict_proba(times)
        times = times[left > 0]
    if not len(times):
        return None
    late = test["time"] > times[-1]  # followed up to just behind the last time
    until = np.nextafter(times[-1], np.inf)
    cut = test.assign(time=test["time"].mask(late, until), event=test["event"].astype(bool) & ~late)
    return cumulative_dynamic_auc(_outcome(known), _outcome(cut), cut["risk"], times)[1]


def _outcome(frame: pd.DataFrame) -> np.ndarray:
    return Surv.from_arrays(frame["event"].to_numpy(bool), frame["time"].to_numpy(float))


METRICS = {"c_index": _c_index, "integrated_auc": _integrated_auc}


def studies(results: Path) -> list[tuple[Path, pd.DataFrame]]:
    """The main table of each survival study, and all predictions of its runs."""
    found = []
    for file in sorted(results.glob("survival/*.csv")):
        runs = sorted(results.glob(f"survival/{file.stem}/*/*/predictions.parquet"))
        if "." not in file.stem and runs:
            parts = [
                artifacts.table(run).assign(method=run.parts[-3], seed=int(run.parts[-2]))
                for run in runs
            ]
            found.append((file, pd.concat(parts, ignore_index=True)))
    return found


CHECKS = [folds, tables]
