"""Temperatures of metrics.json on a grid, and what calibration they leave."""

from pathlib import Path

import numpy as np
from scipy.special import expit, log_softmax, softmax

from recompute import artifacts, metrics
from recompute.artifacts import Predictions
from recompute.tally import Tally

GRID = np.exp(np.linspace(np.log(0.01), np.log(100), 2001))
WORSE = 1e-6  # of the loss: what a grid of 2001 temperatures can be better by than a fit


def calibration_of_runs(results: Path) -> Tally:
    """The temperature is the likeliest on val; ECE and likelihood before and after it."""
    tally = Tally("calibration of runs")
    for file in artifacts.run_files(results, "metrics.json"):
        with tally.reading(file):
            stated = artifacts.read_json(file).get("calibration")
            if stated:
                made = artifacts.predictions(file.with_name("predictions.parquet"))
                _compare(tally, file, stated, made)
    return tally


def _compare(tally: Tally, file: Path, stated: dict, made: Predictions) -> None:
    temperature = stated["temperature"]
    val = made.of(stated["fitted_on"])
    losses = [loss(val, t) for t in GRID]
    best = float(GRID[np.argmin(losses)])
    good = loss(val, temperature) <= min(*losses, loss(val, 1.0)) + WORSE
    tally.holds(file, "temperature", good, f"{temperature:.6g}", f"{best:.6g}")
    for split, parts in stated["splits"].items():
        for when, t in (("before", 1.0), ("after", temperature)):
            scaled = made.of(split)._replace(scores=probabilities(made.of(split), t))
            found = {"nll": loss(made.of(split), t)}
            found["ece"] = metrics.expected_error(*metrics.judged(scaled))
            for name, value in found.items():
                tally.equal(file, f"{split} {name} {when} scaling", parts[when][name], value, 1e-6)


def loss(made: Predictions, temperature: float) -> float:
    """Mean negative log-likelihood of the true class, or binary cross-entropy of all labels."""
    scaled = logits(made) / temperature
    if made.task == "single":
        return float(-log_softmax(scaled, axis=1)[made.truth].mean())
    return float(np.logaddexp(0, np.where(made.truth, -scaled, scaled)).mean())


def probabilities(made: Predictions, temperature: float) -> np.ndarray:
    if temperature == 1:
        return made.scores
    scaled = logits(made) / temperature
    return softmax(scaled, axis=1) if made.task == "single" else expit(scaled)


def logits(made: Predictions) -> np.ndarray:
    """Finite logits: scores are float32, whose 0 and 1 stand for its smallest and largest share."""
    kept = np.clip(made.scores, np.finfo(np.float32).tiny, 1 - 2.0**-24)
    return np.log(kept) if made.task == "single" else np.log(kept) - np.log1p(-kept)


CHECKS = [calibration_of_runs]
