"""Pairs of images and reports, recomputed from the embeddings: scores all reports in float64."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logsumexp
from scipy.stats import skew

from recompute import artifacts
from recompute.tally import Tally

IMAGES = 2000  # of each pairing, evenly spread: all against all would take hours on large ones
CELLS = 50_000_000  # of train images to chunks; a correction with more similarities is not redone
FLOAT32 = 1e-5  # error of a sum of a few hundred products in float32


def lists(results: Path) -> Tally:
    """Each image has ranks 1 to k of distinct reports, the best first."""
    tally = Tally("lists of pairs")
    for file in _files(results):
        with tally.reading(file):
            table = artifacts.table(file)
            by_image = table.groupby("image_id", sort=False)
            ranks = by_image["rank"].agg(list)
            whole = ranks.map(lambda ranks: ranks == list(range(1, len(ranks) + 1)))
            _all(tally, file, "ranks are 1, 2, ... k", whole)
            _all(tally, file, "k is the same for all images", ranks.map(len) == len(ranks.iloc[0]))
            distinct = by_image["report_id"].nunique() == ranks.map(len)
            _all(tally, file, "reports of an image differ", distinct)
            score = table["score" if "score" in table else "similarity"]
            falls = score.groupby(table["image_id"], sort=False).agg(
                lambda s: s.is_monotonic_decreasing
            )
            _all(tally, file, "scores fall with rank", falls)
    return tally


def _all(tally: Tally, file: Path, what: str, agrees: pd.Series) -> None:
    bad = agrees.index[~agrees.to_numpy(bool)]
    exceptions = f"not for {len(bad)}, such as {bad[:1].tolist()}"
    tally.holds(file, what, not len(bad), "all images", exceptions)


def best_reports(results: Path) -> Tally:
    """Similarities, and that no report outside the list is better than one inside it."""
    tally = Tally("best reports of images, by brute force")
    for file in _files(results):
        if file.parent.name != "oracle":
            with tally.reading(file):
                _brute_force(tally, results, file)
    return tally


def _brute_force(tally: Tally, results: Path, file: Path) -> None:
    table, about = artifacts.table(file), artifacts.metadata(file)
    bank = _Bank(results, file, about)
    bias = _bias(results, about, bank) if about.get("correction") else np.zeros(bank.count)
    if bias is None:
        tally.left += 1
        return
    codes = pd.Index(bank.reports).get_indexer(table["report_id"])
    k = int(table["rank"].max())
    exact = about.get("search", {}).get("index", "exact") == "exact"
    images, ids = bank.images, pd.Index(bank.image_ids)
    chosen = np.unique(np.linspace(0, len(table) // k - 1, IMAGES).astype(int))
    for first in chosen * k:
        part, listed = table.iloc[first : first + k], codes[first : first + k]
        similar = bank.similarities(images[ids.get_loc(part["image_id"].iloc[0])][None])[0]
        best = np.sort(similar + bias)[::-1][:k]
        name = part["image_id"].iloc[0]
        for rank in range(k):
            place = f"{name} rank {rank + 1}"
            stated = part["similarity"].iloc[rank]
            tally.equal(file, f"{place} similarity", stated, similar[listed[rank]], FLOAT32)
            if exact:
                score = (similar + bias)[listed[rank]]
                what = f"{place} is the best report left"
                tally.equal(file, what, score, best[rank], 5 * FLOAT32)


class _Bank:
    """Unit vectors of a pairing's images and chunks, and the reports by first appearance."""

    def __init__(self, results: Path, file: Path, about: dict):
        names, folder = about["wildcards"], results / "embeddings" / file.parent.name
        labels = results / "labels" / f"{names['dataset']}.parquet"
        base = artifacts.metadata(labels)["params"]["entry"].get("of", names["dataset"])
        images = folder / f"{base}.images.parquet"
        texts = folder / f"{names['corpus']}.texts.parquet"
        self.image_ids = artifacts.table(images, ["image_id"])["image_id"].to_numpy()
        self.images = _unit(artifacts.vectors(images))
        self.chunks = _unit(artifacts.vectors(texts))
        self.codes, self.reports = pd.factorize(artifacts.table(texts, ["report_id"])["report_id"])
        self.count, self.pool = len(self.reports), about["params"]["retrieval"].get("pool", "max")

    def similarities(self, images: np.ndarray) -> np.ndarray:
        """Similarities of images (n, d) to each report, (n, reports)."""
        products = images @ self.chunks.T
        order = np.argsort(self.codes, kind="stable")
        starts = np.searchsorted(self.codes[order], np.arange(self.count))
        if self.pool == "max":
            return np.maximum.reduceat(products[:, order], starts, axis=1)
        means = np.add.reduceat(self.chunks[order], starts) / np.bincount(self.codes)[:, None]
        return images @ (_unit(means) if self.pool == "embedding" else means).T


def _bias(results: Path, about: dict, bank: _Bank) -> np.ndarray | None:
    """What a correction adds to each report, from train images only; None if too large."""
    labels = results / "labels" / f"{about['wildcards']['dataset']}.parquet"
    samples = artifacts.table(labels, ["image_id", "split"])
    alone = samples.groupby("image_id")["split"].agg(lambda splits: set(splits) == {"train"})
    train = bank.images[np.isin(bank.image_ids, alone.index[alone])]
    if len(train) * len(bank.chunks) > CELLS:
        return None
    how = about["correction"]
    kinds = {"csls": _csls, "inverted-softmax": _inverted_softmax, "sinkhorn": _sinkhorn}
    return kinds[how["kind"]](bank.similarities(train), how)


def _csls(similar: np.ndarray, how: dict) -> np.ndarray:
    """Half of what CSLS subtracts: the mean of a report's nearest images (Lample 2018)."""
    return -np.sort(similar, axis=0)[-how["neighbours"] :].mean(0) / 2


def _inverted_softmax(similar: np.ndarray, how: dict) -> np.ndarray:
    """T log sum_i exp(s_ij / T), subtracted (Smith 2017)."""
    return -how["temperature"] * logsumexp(similar / how["temperature"], axis=0)


def _sinkhorn(similar: np.ndarray, how: dict) -> np.ndarray:
    """Potentials of the reports after the same number of passes, in logs (Cuturi 2013)."""
    temperature, bias = how["temperature"], np.zeros(similar.shape[1])
    for _ in range(how["passes"] - 1):
        logits = (similar + bias) / temperature
        columns = logsumexp(logits - logsumexp(logits, axis=1, keepdims=True), axis=0)
        bias = bias - temperature * (columns + np.log(len(bias) / len(similar)))
        bias -= bias.max()
    return bias


def quality(results: Path) -> Tally:
    """Hubness and similarity of each pairing's quality.json."""
    tally = Tally("quality of pairs")
    for file in sorted(results.glob("pairs/*/*.quality.json")):
        with tally.reading(file):
            stated = artifacts.read_json(file)
            pairs = artifacts.table(Path(str(file).replace(".quality.json", ".parquet")))
            for name, value in _hubness(pairs, stated["reports"]).items():
                part, key = stated, name
                if name.startswith("similarity_"):
                    part, key = stated["similarity"], name.removeprefix("similarity_")
                tally.equal(file, name, part[key], value, 1e-6)
    return tally


def _hubness(pairs: pd.DataFrame, reports: int) -> dict[str, float | None]:
    first = pairs[pairs["rank"] == 1]
    uses = np.zeros(reports)
    counted = first["report_id"].value_counts().to_numpy()
    uses[: len(counted)] = counted
    lists = np.zeros(reports)
    in_lists = pairs["report_id"].value_counts().to_numpy()
    lists[: len(in_lists)] = in_lists
    spread = np.abs(uses[:, None] - uses).mean() if reports <= 5000 else None
    similar = first["similarity"].to_numpy(float)
    measures = {
        "used": len(counted),
        "coverage": len(counted) / reports,
        "top10_share": np.sort(uses)[::-1][:10].sum() / uses.sum(),
        "skewness": float(skew(lists)) if lists.std() else None,
        "similarity_mean": similar.mean(),
        "similarity_std": similar.std(),
    }
    return measures | ({} if spread is None else {"gini": spread / (2 * uses.mean())})


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def _files(results: Path) -> list[Path]:
    return sorted(results.glob("pairs/*/*.parquet"))


CHECKS = [lists, best_reports, quality]
