"""Folds of patients, balanced by event and, within each, by time."""

import numpy as np

TRAIN, VAL, TEST = "train", "val", "test"


def stratified(time: np.ndarray, event: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The fold 0..count-1 of each of n patients.

    Patients are ranked, those with an event first and each part by time; every `count` neighbours
    go to different folds, in a random order. Folds differ by at most one patient and one event,
    and each has its share of early and of late times.
    """
    rng = np.random.default_rng(seed)
    order = np.lexsort((time, ~np.asarray(event, bool)))
    fold = np.empty(len(order), int)
    for start in range(0, len(order), count):
        part = order[start : start + count]
        fold[part] = rng.permutation(count)[: len(part)]
    return fold


def splits(
    fold: np.ndarray, time: np.ndarray, event: np.ndarray, test: int, val: float, seed: int
) -> np.ndarray:
    """Train, val or test of each of n patients, where fold `test` is held out.

    The validation part is about a share `val` of the other patients, stratified like the folds.
    """
    split = np.where(fold == test, TEST, TRAIN).astype(object)
    rest = np.flatnonzero(fold != test)
    inner = stratified(time[rest], event[rest], max(2, round(1 / val)), seed)
    split[rest[inner == 0]] = VAL
    return split
