"""Labels, splits, embeddings and predictions: what must hold of them, counted anew."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from recompute import artifacts
from recompute.tally import Tally

SPLITS = ("train", "val", "test")
PARTS = (".audit", ".quarantine", ".frequencies", ".leaks")  # tables beside those of labels


def labels(results: Path) -> Tally:
    """Ids are distinct, classes known, splits not empty, and frequencies are those of the rows."""
    tally = Tally("labels of datasets")
    for file in _labels(results):
        with tally.reading(file):
            table, made = artifacts.table(file), artifacts.made(file)
            ids = table["sample_id"]
            tally.equal(file, "distinct samples", len(ids), ids.nunique())
            if made["task"] != "survival":
                used, known = set(table["labels"].explode()), made["classes"]
                tally.holds(file, "classes", used == set(known), sorted(known), sorted(used))
            whole = "fold" in table and (table["split"] == "test").all()
            for split in ("test",) if whole else SPLITS:
                found = (table["split"] == split).sum()
                tally.holds(file, f"samples in {split}", found > 0, "some", "none")
            _frequencies(tally, file, table)
    return tally


def _frequencies(tally: Tally, file: Path, table: pd.DataFrame) -> None:
    beside = file.with_suffix(".frequencies.parquet")
    if beside.is_file():
        stated = artifacts.table(beside).set_index("label")
        rows = table.explode("labels").groupby(["labels", "split"]).size()
        for label, split in [(label, split) for label in stated.index for split in SPLITS]:
            found = rows.get((label, split), 0)
            tally.equal(beside, f"{label} in {split}", stated.loc[label, split], found)


def groups(results: Path) -> Tally:
    """No group and no image is in two splits, but for those that the table of leaks states."""
    tally = Tally("groups and images across splits")
    for file in _labels(results):
        with tally.reading(file):
            table = artifacts.table(file, ["sha256", "group", "split"])
            stated = _stated(file)
            for column, kind in (("group", "group"), ("sha256", "image")):
                parts = {s: set(table[column][table["split"] == s].dropna()) for s in SPLITS}
                for a, b in combinations(SPLITS, 2):
                    shared = len(parts[a] & parts[b])
                    if stated is not None:
                        known = stated.get((kind, frozenset((a, b))), 0)
                        tally.equal(file, f"{kind}s in {a} and {b}", known, shared)
    return tally


def _stated(file: Path) -> dict[tuple, int] | None:
    """How many groups and images two splits may share; None where nothing is said of it.

    None at all where groups are kept and no split is official; else as the table of leaks has it.
    """
    made, leaks = artifacts.made(file), file.with_suffix(".leaks.parquet")
    by = (made["params"]["entry"].get("split") or {}).get("by", "group")
    if by == "group" and not made["official"]:
        return {}
    if not leaks.is_file():
        return None
    table = artifacts.table(leaks, ["kind", "split_a", "split_b"])
    pairs = [(row.kind, frozenset((row.split_a, row.split_b))) for row in table.itertuples()]
    return pd.Series(pairs, dtype=object).value_counts().to_dict()


def embeddings(results: Path) -> Tally:
    """Vectors are finite and not zero, ids distinct, and images those of the dataset."""
    tally = Tally("embeddings")
    for file in sorted(results.glob("embeddings/*/*.parquet")):
        with tally.reading(file):
            vectors = artifacts.vectors(file)
            keys = artifacts.table(file).drop(columns="embedding")
            bad = (~np.isfinite(vectors).all(1)).sum()
            tally.equal(file, "vectors that are not finite", 0, bad)
            tally.equal(file, "vectors of zeros", 0, (np.abs(vectors).sum(1) == 0).sum())
            tally.equal(file, "rows and distinct ids", len(keys), len(keys.drop_duplicates()))
            _items(tally, results, file, keys)
    return tally


def _items(tally: Tally, results: Path, file: Path, keys: pd.DataFrame) -> None:
    """The images of the dataset, or the chunks of the corpus, all and no others."""
    name, kind = file.name.removesuffix(".parquet").rsplit(".", 1)
    chunks = results / "chunks" / file.parent.name
    source = {"images": results / "labels", "texts": chunks}.get(kind)
    known = source and source / f"{name}.parquet"
    if known and known.is_file():
        columns = ["image_id"] if kind == "images" else ["report_id", "chunk"]
        if set(columns) <= set(keys):
            expected = artifacts.table(known, columns).drop_duplicates()
            both = len(expected.merge(keys[columns]))
            tally.equal(file, f"items of {known.name}", len(keys), both)
            tally.equal(file, f"all items of {known.name}", len(expected), both)


def predictions(results: Path) -> Tally:
    """Predicted are val and test of the labels, with their labels; scores are finite."""
    tally = Tally("samples of predictions")
    for file in artifacts.run_files(results, "predictions.parquet"):
        with tally.reading(file):
            made = artifacts.predictions(file)
            dataset = file.relative_to(results).parts[1]
            known = artifacts.table(results / "labels" / f"{dataset}.parquet")
            tally.equal(file, "scores that are not finite", 0, (~np.isfinite(made.scores)).sum())
            if "fold" in known and (known["split"] == "test").all():
                _folds(tally, file, known.set_index("sample_id"))
                continue
            if made.task != "survival":  # of which train is predicted, too
                known = known[known["split"] != "train"]
            known = known.set_index("sample_id")
            tally.equal(file, "rows and distinct ids", len(made.ids), len(set(made.ids)))
            same = set(made.ids) == set(known.index)
            tally.holds(file, "samples", same, len(made.ids), f"{len(known)} in the labels")
            if same:
                own = known.loc[made.ids]
                tally.equal(file, "wrong labels", 0, (_truth(own, made) != made.truth).any(1).sum())
                tally.equal(file, "wrong splits", 0, (own["split"] != made.split).sum())
    return tally


def _truth(own: pd.DataFrame, made: artifacts.Predictions) -> np.ndarray:
    if made.task == "survival":
        return own[["time", "event"]].to_numpy(float)
    return np.array([[name in set(row) for name in made.classes] for row in own["labels"]])


def _folds(tally: Tally, file: Path, known: pd.DataFrame) -> None:
    """Of joined folds each sample is tested once, in the fold that the labels say."""
    told = artifacts.table(file, ["sample_id", "split", "fold"])
    tested = told[told["split"] == "test"].set_index("sample_id")["fold"]
    tally.equal(file, "samples tested once", tested.index.nunique(), len(tested))
    same = set(tested.index) == set(known.index)
    tally.holds(file, "samples tested", same, len(tested), f"{len(known)} in the labels")
    if same:
        tally.equal(file, "wrong folds", 0, (known.loc[tested.index, "fold"] != tested).sum())
    made = artifacts.predictions(file)
    wrong = (_truth(known.loc[made.ids], made) != made.truth).any(1).sum() if same else 0
    tally.equal(file, "wrong labels", 0, wrong)


def _labels(results: Path) -> list[Path]:
    files = sorted(results.glob("labels/*.parquet"))
    return [file for file in files if not file.stem.endswith(PARTS)]


CHECKS = [labels, groups, embeddings, predictions]
