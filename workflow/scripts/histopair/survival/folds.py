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

    The validation part is about a share `val` of the other patients, stratified like the folds. It
    is one, or a larger one, in which an event can be compared, as in what is left to train on:
    without, the partial likelihood is constant. Raises ValueError where there is none.
    """
    split = np.where(fold == test, TEST, TRAIN).astype(object)
    rest = np.flatnonzero(fold != test)
    time, event = time[rest], np.asarray(event, bool)[rest]
    for count in range(max(2, round(1 / val)), 1, -1):
        inner = stratified(time, event, count, seed)
        for chosen in (inner == part for part in range(count)):
            if _comparable(time, event, chosen) and _comparable(time, event, ~chosen):
                split[rest[chosen]] = VAL
                return split
    raise ValueError(f"{len(rest)} patients with {event.sum()} events cannot be parted")


def _comparable(time: np.ndarray, event: np.ndarray, part: np.ndarray) -> bool:
    """Whether a part has an event while another of its patients is at risk."""
    time, event = time[part], event[part]
    return bool(event.any() and (time >= time[event].min()).sum() > 1)
