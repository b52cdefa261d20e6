"""A dataset's split, and what is wrong or odd about it."""

from itertools import chain

import pandas as pd

from histopair.datasets import folds, splits
from histopair.errors import InputError
from histopair.files import audit

FOLDED = {"seed": 0, "val": 0.1}  # what of the settings decides folds


def split(frame: pd.DataFrame, entry: dict, name: str, task: str):
    """The frame with its split by the entry's `split` settings, and audit rows.

    With `folds` each sample has the `fold` in which it is tested; what else it is for depends on
    the fold held out, which a resplit names (`fold`). Raises InputError for a split without samples
    and, single-label, for a class without train samples.
    """
    settings = dict(entry.get("split") or {})
    count, held_out = settings.pop("folds", None), settings.pop("fold", None)
    parted = {key: settings.get(key, default) for key, default in FOLDED.items()}
    if count and not held_out:
        fold = folds.assign(frame, count, **parted, name=name)
        return frame.assign(fold=fold, split=splits.TEST), _ungrouped(frame, name)
    if held_out:
        frame = frame.assign(split=folds.held_out(frame, held_out, **parted, name=name))
    else:
        frame = frame.assign(split=splits.assign(frame, **settings))
    _none_empty(frame, settings, name)
    rows = [] if settings.get("by") == "row" else _ungrouped(frame, name)
    if task == "single":
        _all_trained(frame, name)
        rows += _contradictory(frame, name)
    return frame, rows + _crossing(frame) + _lonely(frame)


def _none_empty(frame: pd.DataFrame, settings: dict, name: str) -> None:
    wanted = {splits.TRAIN, splits.VAL, splits.TEST}
    wanted -= {part for part in (splits.VAL, splits.TEST) if settings.get(part) == 0}
    if missing := sorted(wanted - set(frame.split)):
        units = frame.group.where(frame.group.notna(), frame.image_id).nunique()
        raise InputError(
            name,
            f"no sample falls into {' and '.join(missing)} "
            f"({len(frame)} samples in {units} groups)",
            "Give it more groups, or set larger shares under `split`",
        )


def _all_trained(frame: pd.DataFrame, name: str) -> None:
    trained = set(chain.from_iterable(frame.labels[frame.split == splits.TRAIN]))
    if untrained := sorted(set(chain.from_iterable(frame.labels)) - trained):
        raise InputError(
            name,
            f"the class {', '.join(untrained)} has no train sample",
            "Move samples to train, give it more groups, or drop it with `labels_map`",
        )


def _ungrouped(frame: pd.DataFrame, name: str) -> list[dict]:
    count = frame.group.isna().sum()
    reason = "no group is known: patients cannot be told apart, each image is a group"
    return [audit.row("split", "warned", name, reason, count=count)] if count else []


def _contradictory(frame: pd.DataFrame, name: str) -> list[dict]:
    """Warn of equal images with different labels, which no model can tell apart."""
    labels = frame.labels.str[0].groupby(frame.sha256).nunique()
    count = (labels > 1).sum()
    reason = "identical images have different labels"
    return [audit.row("split", "warned", name, reason, count=count)] if count else []


def _crossing(frame: pd.DataFrame) -> list[dict]:
    reasons = {
        "group": "groups that stand in more than one split: scores may be too good",
        "sha256": "identical images that stand in more than one split: scores may be too good",
    }
    return [
        audit.row("split", "warned", key, reasons[key], count=count)
        for key, count in splits.leaks(frame).items()
        if count
    ]


def _lonely(frame: pd.DataFrame) -> list[dict]:
    """Labels that occur in one split only: they cannot be both learned and tested."""
    pairs = frame[["split", "labels"]].explode("labels")
    parts = pairs.groupby("labels", sort=True).split.agg(["unique", "size"])
    return [
        audit.row("split", "warned", label, f"occurs in {names[0]} only", count=size)
        for label, names, size in parts.itertuples(name=None)
        if len(names) == 1
    ]
