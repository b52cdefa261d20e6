"""Temperatures in metrics.json against a grid, and the calibration that they give."""

from pathlib import Path

import numpy as np
from scipy.special import expit, log_softmax, softmax

from recompute import artifacts, metrics
from recompute.artifacts import Predictions
from recompute.tally import Tally

GRID = np.exp(np.linspace(np.log(0.01), np.log(100), 2001))
WORSE = 1e-6  # of the loss: a grid of 2001 temperatures can beat a fit by this much


def calibration_of_runs(results: Path) -> Tally:
    """The temperature is the most likely on val; ECE and likelihood before and after scaling."""
    tally = Tally("calibration of runs")
    for file in artifacts.run_files(results, "metrics.json"):
        with tally.reading(file):
            stated = artifacts.read_json(file).get("calibration")
            if stated:
                run = artifacts.predictions(file.with_name("predictions.parquet"))
                _compare(tally, file, stated, run)
    return tally


def _compare(tally: Tally, file: Path, stated: dict, run: Predictions) -> None:
    val = run.of(stated["fitted_on"])
    folds = [""] if val.fold is None else sorted(set(val.fold.astype(str)))
    tally.holds(file, "folds", sorted(_fits(stated)) == folds, sorted(_fits(stated)), folds)
    for fold, temperature in _fits(stated).items():
        _likeliest(tally, file, f"temperature{fold}", temperature, _of_fold(val, fold))
    mean = np.mean(list(_fits(stated).values()))
    tally.equal(file, "temperature of all", stated["temperature"], mean)
    for split, parts in stated["splits"].items():
        samples = run.of(split)
        for when, t in (("before", 1.0), ("after", of_samples(stated, samples))):
            scaled = samples._replace(scores=probabilities(samples, t))
            errors = {"nll": loss(samples, t)}
            errors["ece"] = metrics.expected_error(*metrics.judged(scaled))
            for name, value in errors.items():
                tally.equal(file, f"{split} {name} {when} scaling", parts[when][name], value, 1e-6)


def _fits(stated: dict) -> dict[str, float]:
    """The temperature of each fold, or of a run without folds."""
    return stated.get("by_fold") or {"": stated["temperature"]}


def _of_fold(run: Predictions, fold: str) -> Predictions:
    if not fold:
        return run
    here = run.fold.astype(str) == fold
    return run._replace(truth=run.truth[here], scores=run.scores[here])


def _likeliest(tally: Tally, file: Path, what: str, temperature: float, val: Predictions) -> None:
    losses = [loss(val, t) for t in GRID]
    best = float(GRID[np.argmin(losses)])
    good = loss(val, temperature) <= min(*losses, loss(val, 1.0)) + WORSE
    tally.holds(file, what, good, f"{temperature:.6g}", f"{best:.6g}")


def of_samples(stated: dict, run: Predictions) -> float | np.ndarray:
    """One temperature, or a column of those of each sample's fold."""
    if "by_fold" not in stated:
        return stated["temperature"]
    return np.array([stated["by_fold"].get(str(fold), 1.0) for fold in run.fold]).reshape(-1, 1)


def loss(run: Predictions, temperature: float | np.ndarray) -> float:
    """Mean negative log-likelihood of the true class, or binary cross-entropy of all labels."""
    scaled = logits(run) / temperature
    if run.task == "single":
        return float(-log_softmax(scaled, axis=1)[run.truth].mean())
    return float(np.logaddexp(0, np.where(run.truth, -scaled, scaled)).mean())


def probabilities(run: Predictions, temperature: float | np.ndarray) -> np.ndarray:
    if np.all(temperature == 1):
        return run.scores
    scaled = logits(run) / temperature
    return softmax(scaled, axis=1) if run.task == "single" else expit(scaled)


def logits(run: Predictions) -> np.ndarray:
    """Finite logits: a float32 score of 0 or 1 counts as the nearest share between them."""
    kept = np.clip(run.scores, np.finfo(np.float32).tiny, 1 - 2.0**-24)
    return np.log(kept) if run.task == "single" else np.log(kept) - np.log1p(-kept)


CHECKS = [calibration_of_runs]
