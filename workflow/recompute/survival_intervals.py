"""Intervals, p and verdicts of survival studies: patients are resampled within each test fold."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from recompute import artifacts, intervals, survival, two_way, verdicts
from recompute.tally import Tally

DRAWS, SEED = 2000, 7
THEIRS = 1000  # resamples behind a stated interval
TIED = 1e-8  # risks closer than this are equal, as in scikit-survival
SURE = ("low", "high", "p", "seed_share")


def of_tables(results: Path) -> Tally:
    """Intervals of means and of differences to the reference."""
    tally = Tally("survival intervals")
    for file, table in survival.studies(results):
        with tally.reading(file):
            study = _Study(table)
            for row in artifacts.csv(file).to_dict("records"):
                if row["method"] in study.methods and row["metric"] in survival.METRICS:
                    _row(tally, file, study, row)
    return tally


def _row(tally: Tally, file: Path, study: "_Study", row: dict) -> None:
    method, metric, base = row["method"], row["metric"], row["reference"]
    sure = {name: row[name] for name in ("low", "high", "seed_share")}
    _check(tally, file, f"{method} {metric}", study, sure, metric, method)
    if base in study.methods and base != method:
        sure = {name: row[f"difference_{name}"] for name in SURE}
        _check(tally, file, f"{method} {metric} difference", study, sure, metric, method, base)


def claims(results: Path) -> Tally:
    """Gains of claims, their intervals, seeds that agree, and verdicts."""
    tally = Tally("survival claims")
    for study_file, table in survival.studies(results):
        file = study_file.with_suffix(".claims.csv")
        if file.is_file() and file.stat().st_size > 1:
            with tally.reading(file):
                study = _Study(table)
                for row in artifacts.csv(file).to_dict("records"):
                    _claim(tally, file, study, row, study_file)
    return tally


def _claim(tally: Tally, file: Path, study: "_Study", row: dict, study_file: Path) -> None:
    pair, metric = (row["better"], row["worse"]), row["metric"]
    place = f"{pair[0]} over {pair[1]}"
    one, other = (study.values(method, metric) for method in pair)
    tally.equal(file, f"{place} gain", row["gain"], one.mean() - other.mean(), 2 * survival.PRINTED)
    _check(tally, file, place, study, {name: row[name] for name in SURE}, metric, *pair)
    sides = intervals.sides(one, other)
    gains = sides[0] if len(sides) == 1 else np.array([])
    tally.equal(file, f"{place} seeds agreeing", row["seeds_agreeing"], (gains > 0).sum())
    tally.equal(file, f"{place} seeds", row["n_seeds"], len(gains))
    unfinished = ", ".join(m for m in pair if survival.unfinished(study_file, m))
    stated = "" if pd.isna(row["not_converged"]) else row["not_converged"]
    tally.holds(file, f"{place} not converged", stated == unfinished, stated, unfinished)
    found = verdicts.UNDECIDED if unfinished else verdicts.claimed(row)
    tally.holds(file, f"{place} verdict", row["verdict"] == found, row["verdict"], found)


def _check(tally, file: Path, place: str, study: "_Study", sure: dict, metric: str, *pair) -> None:
    """By own resamples for the C-index; of the AUC, whether the stated numbers fit each other."""
    values = [study.values(method, metric) for method in pair]
    sides = values if len(pair) == 1 else intervals.sides(*values)
    mean = values[0].mean() - (values[1].mean() if len(pair) > 1 else 0)
    seeds, least = two_way.of_seeds(*sides), -1.0 if len(pair) > 1 else 0.0
    if metric != "c_index":
        two_way.follow(tally, file, place, sure, mean, study.patients - 1, seeds, least)
        return
    drawn = [study.resampled[method] for method in pair]
    own = drawn[0] - (drawn[1] if len(pair) > 1 else 0)
    groups = two_way.of_groups(own, study.patients, THEIRS)
    two_way.check(tally, file, place, sure, mean, groups, seeds, least)


class _Study:
    """All predictions of a study, by method, seed and fold."""

    def __init__(self, table: pd.DataFrame):
        self.parts = dict(list(table.groupby(["method", "seed", "fold"])))
        self.methods = {*table["method"]}
        tests = table[table["split"] == "test"].groupby("fold")["patient"].nunique()
        self.patients = int((tests - 1).sum()) + 1  # each fold keeps its number

    def values(self, method: str, metric: str) -> np.ndarray:
        """The mean over folds of each seed."""
        return self.scores.loc[method].groupby("seed")[metric].mean().to_numpy()

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Each metric by method, seed and fold."""
        keys = pd.MultiIndex.from_tuples(self.parts, names=["method", "seed", "fold"])
        parts = self.parts.values()
        columns = {name: [make(part) for part in parts] for name, make in survival.METRICS.items()}
        return pd.DataFrame(columns, keys, dtype=float)

    @cached_property
    def resampled(self) -> dict[str, np.ndarray]:
        """The C-index of each method in each resample, a mean over folds and seeds."""
        found: dict[str, dict[int, list]] = {}
        for (method, seed, fold), part in self.parts.items():
            value = _c_indices(part[part["split"] == "test"].sort_values("patient"), fold)
            found.setdefault(method, {}).setdefault(seed, []).append(value)
        with np.errstate(invalid="ignore"):
            return {
                method: np.mean([np.nanmean(folds, axis=0) for folds in seeds.values()], axis=0)
                for method, seeds in found.items()
            }


def _c_indices(test: pd.DataFrame, fold: int) -> np.ndarray:
    """Harrell's C where each patient counts as often as he is drawn."""
    count = len(test)
    draws = np.random.default_rng([SEED, fold]).multinomial(count, [1 / count] * count, DRAWS)
    event, time, risk = (test[name].to_numpy(float) for name in ("event", "time", "risk"))
    later = (time > time[:, None]) | ((time == time[:, None]) & (event == 0))
    pairs = (event[:, None] == 1) & later
    ahead = risk[:, None] - risk
    wins = pairs * np.where(np.abs(ahead) <= TIED, 0.5, ahead > 0)
    sums = [((draws @ matrix.astype(float)) * draws).sum(1) for matrix in (wins, pairs)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[0] / sums[1]


CHECKS = [of_tables, claims]
