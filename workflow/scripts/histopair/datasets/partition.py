"""A dataset's split, and what is wrong with it or odd about it."""

from itertools import chain

import pandas as pd

from histopair.datasets import amendments, folds, sites, splits
from histopair.errors import InputError
from histopair.files import audit

FOLDED = {"seed": 0, "val": 0.1}  # the settings that decide folds


def split(frame: pd.DataFrame, entry: dict, name: str, task: str):
    """The frame with its split by the entry's `split` settings, and audit rows.

    The `split` that it comes with, the published one, stays as the column `official`.
    With `folds`, or a fold for each of `sites`, each sample has the `fold` in which it is tested;
    its other uses depend on the fold that is held out, which a resplit names (`fold`). Samples with
    amendments have them as labels in the entry's `amended_splits`. Raises InputError for a split
    without samples, for `sites` that are not those of the samples and, if single-label, for a class
    without train samples.
    """
    frame = frame.assign(official=frame.split)
    settings = dict(entry.get("split") or {})
    settings.pop("labels", None)  # of a run: its seed draws them
    count, held_out = settings.pop("folds", None), settings.pop("fold", None)
    named = settings.pop("sites", None)
    folded = {key: settings.get(key, default) for key, default in FOLDED.items()}
    amended = entry.get("amended_splits", amendments.SPLITS)
    if not held_out and (named or count):
        if named:
            fold = sites.folds(frame, named, name)
            rows = _ungrouped(frame, name) + sites.crossing(frame)
        else:
            fold, rows = folds.assign(frame, count, **folded, name=name), _ungrouped(frame, name)
        frame, changed = amendments.settle(frame.assign(split=splits.TEST), amended, name)
        return frame.assign(fold=fold), rows + changed
    if held_out:
        frame = frame.assign(split=folds.held_out(frame, held_out, **folded, name=name))
    else:
        frame = frame.assign(split=splits.assign(frame, **settings))
    _none_empty(frame, settings, name)
    frame, rows = amendments.settle(frame, amended, name)
    rows += [] if settings.get("by") in splits.IGNORES_GROUPS else _ungrouped(frame, name)
    if settings.get("by") == splits.TEST:
        return frame, rows
    if task == "single":
        _all_trained(frame, name)
        rows += _contradictory(frame, name)
    return frame, rows + _crossing(frame) + _absent(frame)


def _none_empty(frame: pd.DataFrame, settings: dict, name: str) -> None:
    wanted = {splits.TRAIN, splits.VAL, splits.TEST}
    if settings.get("by") == splits.TEST:
        wanted = {splits.TEST}
    wanted -= {part for part in (splits.VAL, splits.TEST) if settings.get(part) == 0}
    if missing := sorted(wanted - set(frame.split)):
        units = frame.group.where(frame.group.notna(), frame.image_id).nunique()
        size = f"{len(frame)} samples in {units} groups"
        problem = f"no sample falls into {' and '.join(missing)} ({size})"
        raise InputError(name, problem, "Give it more groups, or set larger shares under `split`")


def _all_trained(frame: pd.DataFrame, name: str) -> None:
    trained = set(chain.from_iterable(frame.labels[frame.split == splits.TRAIN]))
    if untrained := sorted(set(chain.from_iterable(frame.labels)) - trained):
        problem = f"the class {', '.join(untrained)} has no train sample"
        remedy = "Move samples to train, give it more groups, or drop it with `labels_map`"
        raise InputError(name, problem, remedy)


def _ungrouped(frame: pd.DataFrame, name: str) -> list[dict]:
    reason = "no group is known: patients cannot be told apart, each image is a group"
    return _warning(name, reason, frame.group.isna().sum())


def _contradictory(frame: pd.DataFrame, name: str) -> list[dict]:
    """Warn of equal images with different labels, which no model can tell apart."""
    labels = frame.labels.str[0].groupby(frame.sha256).nunique()
    return _warning(name, "identical images have different labels", (labels > 1).sum())


def _crossing(frame: pd.DataFrame) -> list[dict]:
    crossing = splits.leaks(frame)
    reason = "{} in more than one split: scores may be too good"
    groups = _warning("group", reason.format("groups"), crossing["group"])
    return groups + _warning("sha256", reason.format("identical images"), crossing["sha256"])


def _absent(frame: pd.DataFrame) -> list[dict]:
    """Labels that one split or two lack: they cannot be learned, chosen by and tested."""
    pairs = frame[["split", "labels"]].explode("labels")
    counts = pd.crosstab(pairs.labels, pairs.split)
    there = [part for part in (splits.TRAIN, splits.VAL, splits.TEST) if part in counts]
    return [
        row
        for label, number in counts.iterrows()
        if not number.all()
        for names in [" and ".join(part for part in there if number[part])]
        for row in _warning(label, f"occurs in {names} only", int(number.sum()))
    ]


def _warning(subject: str, reason: str, count: int) -> list[dict]:
    return [audit.row("split", "warned", subject, reason, count=count)] if count else []
