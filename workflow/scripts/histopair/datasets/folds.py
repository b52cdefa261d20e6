"""Cross-validation: the fold of each sample, and the split where one fold is held out.

Folds are numbered from 1. Samples with follow-up, one per patient, are balanced by event and then
by time; other samples keep groups together and balance classes, as splits do.
"""

import numpy as np
import pandas as pd

from histopair.datasets import splits
from histopair.datasets.splits import TEST, TRAIN, VAL
from histopair.errors import InputError


def assign(frame: pd.DataFrame, count: int, seed: int, val: float, name: str) -> np.ndarray:
    """The fold 1..count of each sample, (n,).

    Raises InputError if patients or events are too few, and for a fold beside which no validation
    part is possible.
    """
    if "event" not in frame:
        return splits.parts(frame, count, seed) + 1
    time, event = frame["time"].to_numpy(float), frame["event"].to_numpy(bool)
    _check(event, count, name)
    fold = stratified(time, event, count, seed) + 1
    for test in range(1, count + 1):
        _comparable_parts(fold, time, event, test, val, seed, name)
    return fold


def held_out(frame: pd.DataFrame, test: int, seed: int, val: float, name: str) -> pd.Series:
    """Train, val or test for each sample if fold `test` is held out.

    val: about the share of the other samples that chooses the epoch.
    """
    if "event" in frame:
        time, event = frame["time"].to_numpy(float), frame["event"].to_numpy(bool)
        fold = frame["fold"].to_numpy()
        split = _comparable_parts(fold, time, event, test, val, seed, name)
        return pd.Series(split, frame.index)
    given = np.where(frame["fold"] == test, TEST, TRAIN)
    return splits.assign(frame.assign(split=given), val=val, seed=seed)


def stratified(time: np.ndarray, event: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The part 0..count-1 of each of n patients.

    Patients are ranked: those with an event first, then by time. Every `count` neighbours go to
    different parts, in a random order. Parts differ by at most one patient and one event, and each
    has its share of early and of late times.
    """
    rng = np.random.default_rng(seed)
    order = np.lexsort((time, ~np.asarray(event, bool)))
    part = np.empty(len(order), int)
    for start in range(0, len(order), count):
        chosen = order[start : start + count]
        part[chosen] = rng.permutation(count)[: len(chosen)]
    return part


def of_patients(
    fold: np.ndarray, time: np.ndarray, event: np.ndarray, test: int, val: float, seed: int
) -> np.ndarray:
    """Train, val or test for each of n patients if fold `test` is held out.

    The validation part is about a share `val` of the other patients, stratified like the folds. It
    is larger if otherwise no event could be compared in it or in the part left to train on: the
    partial likelihood would be constant. Raises ValueError if no part will do.
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
    raise ValueError(f"{len(rest)} patients with {event.sum()} events cannot be divided")


def _comparable(time: np.ndarray, event: np.ndarray, part: np.ndarray) -> bool:
    """Whether a part has an event while another of its patients is at risk."""
    time, event = time[part], event[part]
    return bool(event.any() and (time >= time[event].min()).sum() > 1)


def _comparable_parts(fold, time, event, test: int, val: float, seed: int, name: str) -> np.ndarray:
    """`of_patients`; InputError if training or the choice of the epoch has no event."""
    try:
        return of_patients(fold, time, event, test, val, seed)
    except ValueError as error:
        problem = (
            f"beside fold {test}, no split into training and validation leaves each an event that "
            f"can be compared with a patient still at risk ({error})"
        )
        remedy = "Change `seed` or `folds` of its `split`, or find more patients"
        raise InputError(name, problem, remedy) from error


def _check(event: np.ndarray, count: int, name: str) -> None:
    """Raise InputError unless every fold has events to learn from and to be tested on."""
    events = int(event.sum())
    if min(events, len(event) - events) < 2 * count:
        raise InputError(
            name,
            f"{len(event)} patients with slides, {events} with an event, are too few for "
            f"{count} folds: each needs two patients with an event and two without",
            "Set `split.folds` lower, or check its event column and its slides",
        )
