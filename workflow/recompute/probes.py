"""Linear probes, fitted again by scikit-learn to the cached embeddings."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from recompute import artifacts, few_labels
from recompute.tally import Tally

CLOSE = 1e-3  # of a probability: solvers stop just before the optimum
FLAT = 1e-4  # of a loss on val: strengths this close are equally good
NEWTON = 1_500  # coefficients for which Newton's method is fast
WEAKEST, STRONGEST = 1e4, 1e-6  # penalties that are tried, as scikit-learn's C


def probes(results: Path) -> Tally:
    """Probabilities are the optimum's at the stated strength, and no other strength is better."""
    tally = Tally("linear probes, fitted anew")
    for file in artifacts.run_files(results, "predictions.parquet"):
        if artifacts.method(file).get("recipe") == "linear_probe":
            with tally.reading(file):
                _check(tally, results, file)
    return tally


def _check(tally: Tally, results: Path, file: Path) -> None:
    run, history = artifacts.predictions(file), file.with_name("history.parquet")
    strength = float(artifacts.table(history)["strength"].iloc[-1])
    data = _Data(results, file, run)
    fitted = data.fitted(strength)
    off = float(np.abs(fitted - data.comparable(run.scores)).max())
    tally.equal(file, "largest difference of a probability", 0, off, CLOSE)
    best = data.loss(fitted)
    for other in (strength / 10, strength * 10):
        if STRONGEST / 1.001 <= other <= WEAKEST * 1.001:
            loss = data.loss(data.fitted(other))
            better = f"C = {other:g} has loss {loss:.6f}, not {best:.6f}"
            tally.holds(history, "strength", loss >= best - FLAT, f"C = {strength:g}", better)


def _of(vectors: Path, names: pd.Series, key: str) -> np.ndarray:
    """The vector of each name."""
    place = {name: i for i, name in enumerate(artifacts.table(vectors, [key])[key])}
    return artifacts.vectors(vectors)[[place[name] for name in names]]


class _Data:
    """Standardised features and truth of a run, for the classes that train can distinguish."""

    def __init__(self, results: Path, file: Path, run: artifacts.Predictions):
        dataset, encoder = file.relative_to(results).parts[1:3]
        labels = results / "labels" / f"{dataset}.parquet"
        about, seed = artifacts.metadata(labels), int(file.parent.name)
        samples = few_labels.labelled(artifacts.table(labels), about, seed)
        base = about["params"]["entry"].get("of", dataset)
        inputs = artifacts.method(file).get("inputs", "image")
        kinds = [("images", "image_id"), ("captions", "sample_id")]
        kinds = {"image": kinds[:1], "caption": kinds[1:], "both": kinds}[inputs]
        place = results / "embeddings" / encoder
        vectors = [_of(place / f"{base}.{kind}.parquet", samples[key], key) for kind, key in kinds]
        features = pd.DataFrame(np.hstack(vectors), index=samples["sample_id"])
        samples = samples.set_index("sample_id")
        train = samples[samples["split"] == "train"]
        scaler = StandardScaler().fit(features.loc[train.index].to_numpy())
        self.features = scaler.transform(features.loc[run.ids].to_numpy())
        self.train = scaler.transform(features.loc[train.index].to_numpy())
        truth = np.array([[name in row for name in run.classes] for row in train["labels"]])
        self.varying = truth.any(0) & ~truth.all(0)
        self.targets, self.task = truth[:, self.varying], run.task
        self.val, self.truth = run.split == "val", run.truth[:, self.varying]

    def fitted(self, strength: float) -> np.ndarray:
        """Probabilities (n, varying classes) of val and test."""
        if self.task == "single":
            return self._fit(self.targets.argmax(1), strength)
        return np.stack([self._fit(labels, strength)[:, 1] for labels in self.targets.T], axis=1)

    def _fit(self, targets: np.ndarray, strength: float) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            few = self.train.shape[1] * len(np.unique(targets)) <= NEWTON
            solver = "newton-cholesky" if few else "lbfgs"
            model = LogisticRegression(C=strength, solver=solver, max_iter=20_000, tol=1e-7)
            return model.fit(self.train, targets).predict_proba(self.features)

    def comparable(self, scores: np.ndarray) -> np.ndarray:
        """Scores of only the varying classes; of one softmax, as if there were no others."""
        scores = scores[:, self.varying]
        if self.task == "single":
            return softmax(np.log(np.maximum(scores, 1e-30)), axis=1)
        return scores

    def loss(self, probabilities: np.ndarray) -> float:
        """Cross-entropy on val, over samples of varying classes."""
        shares = np.clip(probabilities[self.val], 1e-12, 1 - 1e-12)
        truth = self.truth[self.val]
        if self.task == "single":
            return float(-np.log(shares[truth]).mean())
        return float(-np.where(truth, np.log(shares), np.log1p(-shares)).mean())


CHECKS = [probes]
