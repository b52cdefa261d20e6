"""The tables of a survival study: every method over seeds and folds, with how sure the numbers are.

A metric is taken in each test fold and averaged over the folds, as the paper does. Two spreads are
kept apart: over seeds (of that mean) and over folds (of the mean over seeds). The 95% interval is
for other patients and other trainings at once (`two_way`): patients are resampled within each test
fold, and a metric is averaged over folds in every resample, the same resamples for all methods.
"""

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from histopair.errors import InputError
from histopair.evaluation import bootstrap, claims, convergence, orders, published, two_way
from histopair.files import tables
from histopair.survival import evaluation

TRUTH = "true hazard"
UNIT = "patient"
COLUMNS = ["study", "cohort", "method", "metric", "mean", "std_seeds", "std_folds", "n_seeds"]
COLUMNS += ["not_converged", "low", "high", "seed_share"]
COLUMNS += ["difference", "difference_low", "difference_high"]
COLUMNS += ["difference_p", "difference_seed_share", "reference", "unit"]
COLUMNS += ["published", "values", "n_patients", "n_events", "synthetic"]


def read(runs: list[dict], truth: str | None) -> pd.DataFrame:
    """All predictions of a study, one row per method, seed, fold and patient; risk as `risk`.

    With a truth, the true log-hazard stands there as a method of its own, the ceiling. Raises
    InputError where runs were made of different patients or folds.
    """
    parts, shape = [], None
    for run in runs:
        part = tables.read(run["predictions"])
        key = part[["patient", "fold", "split"]].reset_index(drop=True)
        if shape is not None and not key.equals(shape):
            problem = f"its patients or folds differ from those of {runs[0]['predictions']}"
            raise InputError(run["predictions"], problem, "Delete the older run and rerun")
        shape = key
        parts.append(part.assign(method=run["method"], seed=run["seed"]))
    if truth is not None:
        known = tables.read(truth, ["path", "log_hazard"])
        position = tables.positions(
            part["patient"], known["path"], truth, "it does not know {}", "Rerun phantom_cohort"
        )
        log_hazard = known["log_hazard"].to_numpy()[position]
        parts.append(part.assign(method=TRUTH, seed=0, risk=log_hazard))
        parts = [each.assign(log_hazard=log_hazard) for each in parts]
    return pd.concat(parts, ignore_index=True)


def not_converged(runs: list[dict]) -> dict[str, int]:
    """How many seeds of each method have not converged in a stage of any fold, or were left behind.

    runs: dicts of method and the path `history`.
    """
    found: dict[str, list[dict]] = {}
    for run in runs:
        judged = convergence.judge(tables.read(run["history"]))
        found.setdefault(run["method"], []).append(judged)
    return {method: convergence.unfinished(judged) for method, judged in found.items()}


def evaluate(predictions: pd.DataFrame) -> tuple[pd.DataFrame, dict[tuple[str, str], np.ndarray]]:
    """Each metric per method, seed and fold; per (method, metric) its mean over folds, resampled.

    The latter are (S, R), for S seeds and R resamples. `n_test` counts a fold's patients.
    """
    rows, sums = [], {}
    for (method, seed, fold), part in predictions.groupby(["method", "seed", "fold"], sort=False):
        test = part["split"] == "test"
        known, test = part[~test], part[test]
        found = {
            "c_index": evaluation.c_index(test),
            "integrated_auc": evaluation.integrated_auc(known, test),
        }
        if "log_hazard" in part and method != TRUTH:
            found["truth"] = float(spearmanr(test["risk"], test["log_hazard"]).statistic)
        rows += [
            {"method": method, "seed": seed, "fold": fold, "metric": metric, "value": value}
            | {"n_test": len(test)}
            for metric, value in found.items()
        ]
        draws = bootstrap.resamples(np.arange(len(test)), seed=bootstrap.SEED + fold)
        for metric, values in evaluation.resampled(known, test, draws).items():
            sums.setdefault((method, metric), {}).setdefault(seed, []).append(values)
    replicates = {
        key: np.stack([_mean_of_existing(folds) for folds in seeds.values()])
        for key, seeds in sums.items()
    }
    return pd.DataFrame(rows), replicates


def summarise(
    scores: pd.DataFrame, replicates: dict, study: dict, paper: str | None, unfinished: dict
) -> pd.DataFrame:
    """One row per method and metric, in COLUMNS but for those that name study and cohort.

    paper: csv of its own figures, as `published` reads it; unfinished: that of `not_converged`.
    """
    reference = study.get("reference")
    told = published.read(paper, evaluation.METRICS) if paper else []
    rows = []
    for (method, metric), part in scores.groupby(["method", "metric"], sort=False):
        grid = part.pivot(index="seed", columns="fold", values="value").to_numpy()
        seeds = np.nanmean(grid, axis=1)
        row = {
            "method": method,
            "metric": metric,
            "mean": seeds.mean(),
            "std_seeds": seeds.std(ddof=1) if len(seeds) > 1 else None,
            "std_folds": np.nanstd(np.nanmean(grid, axis=0), ddof=1),
            "n_seeds": len(seeds),
            "not_converged": unfinished.get(method),
            "reference": reference,
            "published": published.find(told, "", "", method, metric).get("paper"),
            "values": ";".join(f"{value:.6f}" for value in seeds),
        }
        if (method, metric) in replicates:
            own = seeds, replicates[method, metric]
            sure = two_way.of_mean(*own, _groups(scores))
            row |= {name: sure[name] for name in ("low", "high", "seed_share")} | {"unit": UNIT}
            if reference and method not in (reference, TRUTH):
                base = _mean(scores, reference, metric), replicates[reference, metric]
                sure = two_way.of_difference(own, base, _groups(scores))
                row["difference"] = seeds.mean() - base[0].mean()
                names = ("low", "high", "p", "seed_share")
                row |= {f"difference_{name}": sure[name] for name in names}
        rows.append(row)
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def verdicts(scores: pd.DataFrame, replicates: dict, study: dict, unfinished: dict) -> pd.DataFrame:
    """What each of the study's claims comes to here, in the columns of `claims`."""
    rows = []
    for claim in study.get("claims", []):
        metric = claim["metric"]
        better, worse = (
            (_mean(scores, claim[side], metric), replicates[claim[side], metric])
            for side in ("better", "worse")
        )
        sure = two_way.of_difference(better, worse, _groups(scores))
        found = {name: sure[name] for name in ("low", "high", "p", "seed_share")} | {"unit": UNIT}
        found["gain"] = better[0].mean() - worse[0].mean()
        gains = two_way.paired(better[0], worse[0])
        found["n_seeds"] = 0 if gains is None else len(gains)
        found["seeds_agreeing"] = 0 if gains is None else int((gains > 0).sum())
        margin = claim["margin"]
        found["verdict"] = claims.verdict(claim["expect"], sure["low"], sure["high"], margin)
        found["not_converged"] = orders.unconverged(unfinished, claim["better"], claim["worse"])
        if found["not_converged"]:
            found["verdict"] = orders.UNDECIDED
        found["margin"] = margin if claim["expect"] == "no gain" else None
        rows.append(claim | found)
    return pd.DataFrame(rows, columns=claims.COLUMNS)


def groups(predictions: pd.DataFrame) -> pd.DataFrame:
    """Test patients of every method and seed with `high`: above the median risk of the other folds.

    A patient is in the test part once, so that all patients make one pair of curves per seed.
    """
    parts = []
    for _, part in predictions.groupby(["method", "seed", "fold"], sort=False):
        test = part["split"] == "test"
        parts.append(part[test].assign(high=part["risk"][test] > evaluation.threshold(part[~test])))
    return pd.concat(parts, ignore_index=True)


def log_ranks(grouped: pd.DataFrame) -> pd.DataFrame:
    """p of the log-rank test of high against low risk, per method and seed."""
    return pd.DataFrame(
        {"method": method, "seed": seed, "p": evaluation.log_rank(part)}
        for (method, seed), part in grouped.groupby(["method", "seed"], sort=False)
    )


def _mean(scores: pd.DataFrame, method: str, metric: str) -> np.ndarray:
    """Mean over folds of each seed, (seeds,)."""
    own = scores[(scores["method"] == method) & (scores["metric"] == metric)]
    return own.groupby("seed", sort=False)["value"].mean().to_numpy()


def _groups(scores: pd.DataFrame) -> int:
    """Patients that vary freely, and one: each fold's resamples keep its number of patients."""
    return int((scores.drop_duplicates("fold")["n_test"] - 1).sum()) + 1


def _mean_of_existing(values: list[np.ndarray]) -> np.ndarray:
    """Mean over folds in each resample, without folds where the metric does not exist."""
    stacked = np.stack(values)
    exists = np.isfinite(stacked)
    total = np.where(exists, stacked, 0).sum(0)
    return np.divide(
        total, exists.sum(0), out=np.full(stacked.shape[1], np.nan), where=exists.any(0)
    )
