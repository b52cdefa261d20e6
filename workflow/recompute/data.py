"""Labels, splits, embeddings and predictions: what must be true of them, counted again."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from recompute import artifacts, few_labels
from recompute.tally import Tally

SPLITS = ("train", "val", "test")
PARTS = (".audit", ".quarantine", ".frequencies", ".leaks")  # tables beside those of labels


def labels(results: Path) -> Tally:
    """Ids are distinct, classes known, splits not empty, and frequencies match the rows."""
    tally = Tally("labels of datasets")
    for file in _labels(results):
        with tally.reading(file):
            table, about = artifacts.table(file), artifacts.metadata(file)
            ids = table["sample_id"]
            tally.equal(file, "distinct samples", len(ids), ids.nunique())
            if about["task"] != "survival":
                used, classes = set(table["labels"].explode()), about["classes"]
                tally.holds(file, "classes", used == set(classes), sorted(classes), sorted(used))
            if "amended" in table:
                tally.equal(
                    file, "labels that no amendment explains", 0, _unexplained(table, about)
                )
            for split in ("test",) if _only_tested(table, about) else SPLITS:
                count = (table["split"] == split).sum()
                tally.holds(file, f"samples in {split}", count > 0, "some", "none")
            _frequencies(tally, file, table)
    return tally


def _unexplained(table: pd.DataFrame, about: dict) -> int:
    """How many samples have neither the published nor, in the splits for it, the amended labels."""
    splits = about.get("amended_splits", ["train", "val"])
    expected = [
        row.amended if row.amended is not None and row.split in splits else row.published
        for row in table.itertuples()
    ]
    return sum(list(a) != list(b) for a, b in zip(table["labels"], expected, strict=True))


def _only_tested(table: pd.DataFrame, about: dict) -> bool:
    """Whether all samples are test, as those of joined folds are, and of `split: {by: test}`."""
    split = ((about.get("params") or {}).get("entry") or {}).get("split") or {}
    asked = "fold" in table or split.get("by") == "test"
    return asked and bool((table["split"] == "test").all())


def _frequencies(tally: Tally, file: Path, table: pd.DataFrame) -> None:
    beside = file.with_suffix(".frequencies.parquet")
    if beside.is_file():
        stated = artifacts.table(beside).set_index("label")
        rows = table.explode("labels").groupby(["labels", "split"]).size()
        for label, split in [(label, split) for label in stated.index for split in SPLITS]:
            count = rows.get((label, split), 0)
            tally.equal(beside, f"{label} in {split}", stated.loc[label, split], count)


def groups(results: Path) -> Tally:
    """No group and no image is in two splits, except for those that the table of leaks states."""
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
                        leaked = stated.get((kind, frozenset((a, b))), 0)
                        tally.equal(file, f"{kind}s in {a} and {b}", leaked, shared)
    return tally


def _stated(file: Path) -> dict[tuple, int] | None:
    """How many groups and images two splits may share; None if nothing states it.

    Zero if groups are kept together and no split is official; else as the table of leaks states.
    """
    about, leaks = artifacts.metadata(file), file.with_suffix(".leaks.parquet")
    by = (about["params"]["entry"].get("split") or {}).get("by", "group")
    if by == "group" and not about["official"]:
        return {}
    if not leaks.is_file():
        return None
    table = artifacts.table(leaks, ["kind", "split_a", "split_b"])
    pairs = [(row.kind, frozenset((row.split_a, row.split_b))) for row in table.itertuples()]
    return pd.Series(pairs, dtype=object).value_counts().to_dict()


def embeddings(results: Path) -> Tally:
    """Vectors are finite and not zero, ids are distinct, and images are the dataset's."""
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
    """All images of the dataset, or all chunks of the corpus, and no others."""
    name, kind = file.name.removesuffix(".parquet").rsplit(".", 1)
    chunks = results / "chunks" / file.parent.name
    source = {"images": results / "labels", "texts": chunks}.get(kind)
    origin = source and source / f"{name}.parquet"
    if origin and origin.is_file():
        columns = ["image_id"] if kind == "images" else ["report_id", "chunk"]
        if set(columns) <= set(keys):
            expected = artifacts.table(origin, columns).drop_duplicates()
            both = len(expected.merge(keys[columns]))
            tally.equal(file, f"items of {origin.name}", len(keys), both)
            tally.equal(file, f"all items of {origin.name}", len(expected), both)


def predictions(results: Path) -> Tally:
    """Predictions cover val and test of the labels, with their labels; scores are finite."""
    tally = Tally("samples of predictions")
    for file in artifacts.run_files(results, "predictions.parquet"):
        with tally.reading(file):
            run = artifacts.predictions(file)
            dataset = file.relative_to(results).parts[1]
            labels = results / "labels" / f"{dataset}.parquet"
            samples, seed = artifacts.table(labels), int(file.parent.name)
            samples = few_labels.labelled(samples, artifacts.metadata(labels), seed)
            tally.equal(file, "scores that are not finite", 0, (~np.isfinite(run.scores)).sum())
            if "fold" in samples and (samples["split"] == "test").all():
                _folds(tally, file, samples.set_index("sample_id"))
                continue
            if run.task != "survival":  # survival predicts train, too
                samples = samples[samples["split"] != "train"]
            samples = samples.set_index("sample_id")
            tally.equal(file, "rows and distinct ids", len(run.ids), len(set(run.ids)))
            same = set(run.ids) == set(samples.index)
            tally.holds(file, "samples", same, len(run.ids), f"{len(samples)} in the labels")
            if same:
                samples = samples.loc[run.ids]
                wrong = (_truth(samples, run) != run.truth).any(1).sum()
                tally.equal(file, "wrong labels", 0, wrong)
                tally.equal(file, "wrong splits", 0, (samples["split"] != run.split).sum())
    return tally


def _truth(samples: pd.DataFrame, run: artifacts.Predictions) -> np.ndarray:
    if run.task == "survival":
        return samples[["time", "event"]].to_numpy(float)
    return np.array([[name in set(row) for name in run.classes] for row in samples["labels"]])


def _folds(tally: Tally, file: Path, samples: pd.DataFrame) -> None:
    """In joined folds each sample is tested once, in the fold that the labels say."""
    rows = artifacts.table(file, ["sample_id", "split", "fold"])
    tested = rows[rows["split"] == "test"].set_index("sample_id")["fold"]
    tally.equal(file, "samples tested once", tested.index.nunique(), len(tested))
    same = set(tested.index) == set(samples.index)
    tally.holds(file, "samples tested", same, len(tested), f"{len(samples)} in the labels")
    if same:
        tally.equal(file, "wrong folds", 0, (samples.loc[tested.index, "fold"] != tested).sum())
    run = artifacts.predictions(file)
    wrong = (_truth(samples.loc[run.ids], run) != run.truth).any(1).sum() if same else 0
    tally.equal(file, "wrong labels", 0, wrong)


def _labels(results: Path) -> list[Path]:
    files = sorted(results.glob("labels/*.parquet"))
    return [file for file in files if not file.stem.endswith(PARTS)]


CHECKS = [labels, groups, embeddings, predictions]
