"""Splits into train, val and test that keep groups, and images of equal bytes, together.

A group must not be on both sides: patient, video, source tile. Groups that share an image are one.
Classes are balanced by giving each group to the split that lacks its classes most.
"""

import hashlib
from itertools import chain

import numpy as np
import pandas as pd

from histopair.datasets import grouping, phash

TRAIN, VAL, TEST = "train", "val", "test"
# What `split.by` may be, in words, and which of them ignore groups and official splits.
BY = {
    "group": "split by group",
    "row": "random split of rows",
    "val-row": "validation of random rows",
    "test": "all samples are test",
}
IGNORES_GROUPS = ("row",)


def in_words(by: str, official: list[str]) -> str:
    """How a dataset is split; official: its parts that are as published."""
    if not official or by in (*IGNORES_GROUPS, TEST):
        return BY[by]
    if set(official) == {TRAIN, VAL, TEST}:
        return "split as published"
    return f"split as published ({', '.join(official)}), the rest: {BY[by]}"


def assign(
    frame: pd.DataFrame,
    by: str = "group",
    test: float = 0.2,
    val: float = 0.1,
    seed: int = 0,
    duplicates: str = "keep",
) -> pd.Series:
    """The split of each sample, independent of the order of rows.

    `frame` has sample_id, image_id, group (or null), sha256, labels and split (official, or null).
    by="group" keeps official splits; without an official val it is carved from train (`val` is then
    a share of train), without an official test both are shares of all samples.
    duplicates="group" makes one group of groups that share images which look the same (`phash`).
    by="val-row" is like "group", but draws val again as random rows from all but test: patients are
    then in both train and val, and the best epoch is chosen on nearly familiar images.
    by="row" ignores groups and official splits: plain random rows, which leak, as in the paper.
    by="test" makes all samples test: nothing is trained on them.
    """
    if by == TEST:
        return pd.Series(TEST, index=frame.index, dtype=object)
    if by == "row":
        return _random_rows(frame.sample_id, {TEST: test, VAL: val}, seed)
    if by == "val-row":
        split = assign(frame, "group", test, val, seed, duplicates)
        kept = split != TEST
        if kept.any():
            shares = {VAL: (split[kept] == VAL).mean()}
            split[kept] = _random_rows(frame.sample_id[kept], shares, seed)
        return split
    split = frame.split.astype(object).copy()
    official = set(split.dropna())
    wanted = ((TEST, test), (VAL, val))
    shares = {name: share for name, share in wanted if share > 0 and name not in official}
    free = split.isna() if split.isna().any() else split == TRAIN
    if shares and free.any():
        part = frame[free]
        split[free] = _stratified(part, components(part, near=duplicates == "group"), shares, seed)
    return split


def parts(frame: pd.DataFrame, count: int, seed: int) -> np.ndarray:
    """The part of each sample, (n,): one of `count` parts of about equal size, numbered from 0.

    Like splits, they keep groups together and balance classes.
    """
    names = [str(part) for part in range(count - 1)]
    part = _stratified(frame, components(frame), dict.fromkeys(names, 1 / count), seed)
    return np.where(part == TRAIN, str(count - 1), part).astype(int)


def components(frame: pd.DataFrame, near: bool = False) -> np.ndarray:
    """Number of the set of samples that must stay together: same group or same image bytes.

    With `near` also images whose perceptual hashes are near each other.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    group = grouping.numbers(frame.group, frame.image_id)
    image = pd.factorize(frame.sha256.where(frame.sha256.notna(), frame.image_id))[0]
    first_image = group.max() + 1
    nodes = first_image + image.max() + 1
    ends = np.stack([group, first_image + image])
    if near:
        seen, hashes = pd.factorize(frame.phash)
        hashed = seen >= 0
        alike = phash.sets(phash.numbers(hashes))[seen[hashed]]
        ends = np.hstack([ends, np.stack([group[hashed], nodes + alike])])
        nodes += len(hashes)
    links = coo_array((np.ones(ends.shape[1], bool), tuple(ends)), shape=(nodes, nodes))
    return connected_components(links, directed=False)[1][group]


def leaks(frame: pd.DataFrame) -> dict[str, int]:
    """How many groups, and how many distinct images, are in more than one split."""
    return {
        name: int((frame.dropna(subset=[name]).groupby(name).split.nunique() > 1).sum())
        for name in ("group", "sha256")
    }


def _random_rows(ids: pd.Series, shares: dict[str, float], seed: int) -> pd.Series:
    order = np.argsort([_hash(seed, name) for name in ids], kind="stable")
    split = np.full(len(ids), TRAIN, dtype=object)
    start = 0
    for name, share in shares.items():
        stop = start + round(share * len(ids))
        split[order[start:stop]] = name
        start = stop
    return pd.Series(split, index=ids.index)


def _stratified(
    frame: pd.DataFrame, component: np.ndarray, shares: dict[str, float], seed: int
) -> np.ndarray:
    """Split components so that each split gets its share of each class, as far as possible."""
    names = [*shares, TRAIN]  # train last: the others win ties
    share = np.array([*shares.values(), 1 - sum(shares.values())])
    numbers, component = np.unique(component, return_inverse=True)
    counts = _class_counts(frame.labels, component, len(numbers))
    key = frame.sample_id.groupby(component).min()
    order = _order(counts.sum(1), share, [_hash(seed, name) for name in key])
    chosen = _greedy(counts, share, order)
    _cover(counts, chosen, order, train=len(names) - 1)
    return np.array(names, dtype=object)[chosen][component]


def _class_counts(labels: pd.Series, component: np.ndarray, n: int) -> np.ndarray:
    """Samples of each class in each component, shape (components, classes)."""
    lengths = labels.map(len).to_numpy()
    codes = pd.factorize(np.array([*chain.from_iterable(labels)], dtype=object), sort=True)[0]
    counts = np.zeros((n, codes.max(initial=0) + 1), dtype=np.float32)
    np.add.at(counts, (np.repeat(component, lengths), codes), 1)
    return counts


def _order(size: np.ndarray, share: np.ndarray, hashes: list[bytes]) -> np.ndarray:
    """First components that are large for the smallest split, by size; then others at random."""
    large = size > 0.25 * share[share > 0].min() * size.sum()
    rank = np.argsort(np.argsort(hashes, kind="stable"), kind="stable")
    return np.lexsort((rank, np.where(large, -size, 0)))


def _greedy(counts: np.ndarray, share: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Give each component to the split whose lack of its classes is greatest.

    This is steepest descent on the sum over splits and classes of ((have - want) / total)^2.
    """
    total = np.maximum(counts.sum(0), 1)
    lack = share[:, None] * counts.sum(0) / total**2
    lack[share <= 0] = -np.inf
    chosen = np.empty(len(counts), dtype=int)
    for number in order:
        present = counts[number].nonzero()[0]
        amount = counts[number, present]
        best = int(np.argmax(np.round(lack[:, present] @ amount, 12)))
        chosen[number] = best
        lack[best, present] -= amount / total[present] ** 2
    return chosen


def _cover(counts: np.ndarray, chosen: np.ndarray, order: np.ndarray, train: int) -> None:
    """Give every split a component of each class, if the class has at least as many as splits.

    The smallest such component of train moves, and only if train keeps each of its classes.
    """
    has = counts > 0
    rank = np.argsort(order)
    smallest = np.lexsort((rank, counts.sum(1)))
    for label in np.argsort(has.sum(0), kind="stable"):
        if has[:, label].sum() < train + 1:
            continue
        for split in range(train):
            if has[chosen == split, label].any():
                continue
            kept = has[chosen == train].sum(0)
            for number in smallest[(chosen == train)[smallest] & has[smallest, label]]:
                if (kept[has[number]] > 1).all():
                    chosen[number] = split
                    break


def _hash(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()
