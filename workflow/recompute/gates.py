"""Gates of synthetic worlds, from embeddings, pairs and truths: probes, R², agreements, reasons."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss

from recompute import artifacts, cells
from recompute.tally import PRINTED, Tally

STRENGTHS = [10.0**power for power in range(-4, 3)]  # of a probe, as scikit-learn's C
PENALTIES = [10.0**power for power in range(-2, 5)]  # of the ridge regression
FLAT = 1e-4  # of a loss on val: strengths this close are equally good
FLIPS = 2  # test samples whose two best classes are too close to say which
NEWTON = 1_500  # coefficients for which Newton's method is fast
LEAST_R2, LEAST_AGREEMENT = 0.3, 0.25
NUMBERS = ("label_accuracy", "report_agreement", "chance")


def gates(results: Path) -> Tally:
    """Each row of a study's gate, and the file that it was read from."""
    tally = Tally("gates of synthetic worlds", PRINTED)
    for file in cells.study_files(results):
        for row in cells.beside(file, "gate").to_dict("records"):
            with tally.reading(file.with_suffix(".gate.csv")):
                _row(tally, results, file.with_suffix(".gate.csv"), row)
    return tally


def _row(tally: Tally, results: Path, file: Path, row: dict) -> None:
    world = _World(results, row)
    for name in ("backbone", "retriever"):
        accuracies = world.probes(name)
        stated, place = row[f"probe_{name}"], f"{world.place} probe of the {name}"
        near = min(accuracies, key=lambda accuracy: abs(accuracy - stated))
        tally.equal(file, place, stated, near, FLIPS / world.smallest)
    for name in NUMBERS:
        tally.equal(file, f"{world.place} {name}", row[name], getattr(world, name))
    named = dict(part.rsplit(" ", 1) for part in row["r2"].split("; "))
    tally.holds(file, f"{world.place} attributes", {*named} == {*world.decides}, [*named], "others")
    explained = {name: world.explained(name) for name in world.decides}
    for name, value in explained.items():
        tally.equal(file, f"{world.place} R² of {name}", named.get(name), value, 0.0051)
    _verdict(tally, file, row, world, explained)


def _verdict(tally: Tally, file: Path, row: dict, world: "_World", explained: dict) -> None:
    """The numbers stated decide, and each failing is among the reasons."""
    way = (row["report_agreement"] - row["chance"]) / (1 - row["chance"])
    blind = [name for name, value in explained.items() if value < LEAST_R2]
    failings = [f"hardly sees {name.replace('_', ' ')}" for name in blind]
    failings += ["from chance"] * (way < LEAST_AGREEMENT)
    failings += ["below that of the backbone"] * (row["probe_retriever"] < row["probe_backbone"])
    stated = row["reasons"] if isinstance(row["reasons"], str) else ""
    passed = str(row["passed"]) == "True"
    tally.holds(file, f"{world.place} passed", passed == (not failings), passed, failings)
    same = len(failings) == len(re.findall("; ", stated)) + bool(stated)
    named = same and all(words in stated for words in failings)
    tally.holds(file, f"{world.place} reasons", named, stated, failings)


class _World:
    """Samples of a dataset with their truth, both encoders' vectors, and the retrieved reports."""

    def __init__(self, results: Path, row: dict):
        encoder, retriever, dataset = row["encoder"], row["retriever"], row["dataset"]
        self.place = f"{dataset} {encoder} {retriever}"
        name = f"{dataset}.{row['corpus']}"
        judged = artifacts.read_json(results / f"gates/{encoder}/{retriever}/{name}.json")
        labels = results / "labels" / f"{dataset}.parquet"
        base = artifacts.metadata(labels)["params"]["entry"].get("of", dataset)
        truth, report_truth = (results.parent / judged[key] for key in ("truth", "report_truth"))
        self.decides = artifacts.metadata(truth)["decides"]
        samples = artifacts.table(labels)
        self.tiles = artifacts.table(truth).set_index("path").loc[samples["path"]]
        self.split = samples["split"].to_numpy()
        self.given = samples["labels"].str[0].to_numpy()
        pairs = artifacts.table(results / f"pairs/{retriever}/{base}.{row['corpus']}.parquet")
        first = pairs[pairs["rank"] == 1].set_index("image_id")["report_id"]
        classes = artifacts.table(report_truth).set_index("report_id")["label"]
        self.reports = classes.loc[first.loc[samples["image_id"]]].to_numpy()
        files = {"backbone": encoder, "retriever": retriever}
        self.vectors = {
            role: _of(results / f"embeddings/{tower}/{base}.images.parquet", samples["image_id"])
            for role, tower in files.items()
        }

    @property
    def smallest(self) -> int:
        """How many test samples the rarest class has, times the number of classes."""
        counts = pd.Series(self.given[self.split == "test"]).value_counts()
        return int(counts.min() * len(counts))

    @property
    def label_accuracy(self) -> float:
        return np.mean((self.given == self.tiles["label"])[self.split == "train"])

    @property
    def report_agreement(self) -> float:
        return np.mean((self.reports == self.tiles["label"])[self.split == "train"])

    @property
    def chance(self) -> float:
        """How often two train tiles, drawn with replacement, are of one class."""
        counts = self.tiles["label"][self.split == "train"].value_counts()
        return float(((counts / counts.sum()) ** 2).sum())

    def standard(self, name: str) -> dict[str, np.ndarray]:
        """Vectors by split, less the mean of train, over its deviation."""
        train = self.vectors[name][self.split == "train"]
        scale = np.where(train.std(0) > 0, train.std(0), 1)
        standard = (self.vectors[name] - train.mean(0)) / scale
        return {split: standard[self.split == split] for split in ("train", "val", "test")}

    def probes(self, name: str) -> list[float]:
        """Balanced accuracy on test of the penalties that validation likes best."""
        vectors = self.standard(name)
        labels = {split: self.given[self.split == split] for split in vectors}
        few = vectors["train"].shape[1] * len(np.unique(labels["train"])) <= NEWTON
        solver = "newton-cholesky" if few else "lbfgs"
        tried = []
        for strength in STRENGTHS:
            model = LogisticRegression(C=strength, solver=solver, max_iter=20_000, tol=1e-7)
            model.fit(vectors["train"], labels["train"])
            shares = model.predict_proba(vectors["val"])
            loss = log_loss(labels["val"], shares, labels=model.classes_)
            decided = model.predict(vectors["test"])
            tried.append((loss, balanced_accuracy_score(labels["test"], decided)))
        least = min(loss for loss, _ in tried)
        return [accuracy for loss, accuracy in tried if loss <= least + FLAT]

    def explained(self, attribute: str) -> float:
        """Share of the variance on test that a ridge regression explains.

        Of a category, of its indicators together.
        """
        values = self.tiles[attribute]
        text = not pd.api.types.is_numeric_dtype(values)
        target = np.stack([values == name for name in values.unique()], 1) if text else values
        target = np.asarray(target, float).reshape(len(values), -1)
        train, test = self.split == "train", self.split == "test"
        vectors = self.standard("retriever")
        mean = target[train].mean(0)
        slopes = _ridge(vectors["train"], target[train] - mean)
        missed = target[test] - mean - vectors["test"] @ slopes
        return float(1 - (missed**2).sum() / ((target[test] - target[test].mean(0)) ** 2).sum())


def _ridge(vectors: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Slopes of the penalty with the least error when each sample in turn is left out.

    In closed form, for columns of mean 0.
    """
    left, sizes, right = np.linalg.svd(vectors, full_matrices=False)
    seen, best, least = left.T @ target, None, np.inf
    for penalty in PENALTIES:
        shrunk = (sizes**2 / (sizes**2 + penalty))[:, None]
        leverage = left**2 @ shrunk + 1 / len(left)
        error = (((target - left @ (shrunk * seen)) / (1 - leverage)) ** 2).mean()
        if error < least:
            slopes = sizes[:, None] / (sizes[:, None] ** 2 + penalty) * seen
            least, best = error, right.T @ slopes
    return best


def _of(vectors: Path, names: pd.Series) -> np.ndarray:
    """The vector of each image, float64."""
    place = pd.Series(range(len(rows := artifacts.table(vectors, ["image_id"]))), rows["image_id"])
    return artifacts.vectors(vectors)[place.loc[names]].astype(float)


CHECKS = [gates]
