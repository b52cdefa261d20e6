"""A cell of a study: all methods on one dataset, in one column, judged on the same test samples."""

from pathlib import Path

import numpy as np
import pandas as pd

from histopair.datasets import grouping
from histopair.errors import InputError
from histopair.evaluation import bootstrap, convergence, metrics, probes, tasks
from histopair.files import tables


def gather(runs: list[dict], labels: dict[str, str | Path]) -> dict[tuple[str, str], dict]:
    """The cells of a study by (dataset, column), each as `evaluate` makes it.

    A run's `column` is the study's encoder in whose column it stands, its own `encoder` where that
    is not said.
    """
    found: dict[tuple[str, str], list[dict]] = {}
    for run in runs:
        found.setdefault((run["dataset"], run.get("column", run["encoder"])), []).append(run)
    return {key: evaluate(members, labels[key[0]]) for key, members in found.items()}


def evaluate(runs: list[dict], labels: str | Path) -> dict:
    """What one cell's runs come to.

    runs: dicts of encoder, method, seed and the paths `predictions` and `metrics`, maybe `column`
    and `probes` (methods at their optimum that read no more than this one).
    labels: labels parquet of their dataset, for the groups. Returns
        methods: {method: {metric: (values of the S seeds, their replicates (S, R))}};
        runs: {method: [metrics (those of metrics.json), counts (`group_counts` of its task)]};
        own_encoder: {method: its encoder where that is not the column's, else ""};
        not_converged: {method: how many of its runs have not converged};
        val_loss: {method: `probes.val_loss`}, below_probe: {method: `probes.below`};
        task, ids (of the test samples), n_test, n_groups, unit (`unit_of`).
    Seeds that predict alike count once. Raises InputError where methods predict different samples.
    """
    first, groups, draws = None, None, None
    found: dict[str, list[dict]] = {}
    for run in runs:
        split = test_split(run["predictions"])
        if first is None:
            first, seen = split, run["predictions"]
            groups = groups_of(labels, split["ids"])
            draws = bootstrap.resamples(groups)
        elif not _alike(split, first):
            problem = f"its test samples, labels or folds differ from those of {seen}"
            raise InputError(run["predictions"], problem, "Delete the older run and rerun")
        members = found.setdefault(run["method"], [])
        if not any(np.array_equal(split["scores"], other["scores"]) for other in members):
            members.append(_member(run, split, groups, draws))
    task = first["task"]
    losses = {method: probes.val_loss(_judged(members)) for method, members in found.items()}
    return {
        "methods": {method: _over_seeds(members, task) for method, members in found.items()},
        "runs": found,
        "own_encoder": {run["method"]: _own_encoder(run) for run in runs},
        "not_converged": {
            method: convergence.unfinished([seed["convergence"] for seed in _judged(members)])
            for method, members in found.items()
        },
        "val_loss": losses,
        "below_probe": probes.below(losses, {run["method"]: run.get("probes", []) for run in runs}),
        "task": task,
        "ids": first["ids"],
        "n_test": len(first["ids"]),
        "n_groups": int(groups.max()) + 1,
        "unit": unit_of(labels, first["ids"]),
    }


def _alike(split: dict, first: dict) -> bool:
    """Whether two runs are tested on the same samples, with the same truth, in the same folds."""
    folds = [one["context"].get("fold") for one in (split, first)]
    return (
        split["ids"] == first["ids"]
        and np.array_equal(split["truth"], first["truth"])
        and np.array_equal(*folds)
    )


def test_split(path: str | Path) -> dict:
    """The test samples of a run by sample_id: ids, truth, scores (n, C), task, its context."""
    table, made = tables.without_vectors(path), tables.about(path)
    task = tasks.of(made["task"])
    test = np.flatnonzero(table["split"] == "test")
    if not len(test):
        raise InputError(path, "no test samples", "Give the dataset's split a test share")
    test = test[np.argsort(table["sample_id"].to_numpy()[test], kind="stable")]
    return {
        "ids": list(table["sample_id"].iloc[test]),
        "truth": task.truth(table.iloc[test], made["classes"], path),
        "scores": tables.matrix(path, "scores")[test],
        "task": made["task"],
        "context": task.context(table, test),
    }


def groups_of(labels: str | Path, ids: list[str]) -> np.ndarray:
    """Group number 0..G-1 of each sample; as in splits, an ungrouped image is its own."""
    samples = tables.read(labels, ["sample_id", "image_id", "group"]).set_index("sample_id")
    missing = sorted(set(ids) - set(samples.index))
    if missing:
        problem = f"{len(missing)} predicted samples are not in it, such as {missing[0]}"
        raise InputError(labels, problem, "Rerun the runs of this dataset")
    number = pd.Series(grouping.numbers(samples["group"], samples["image_id"]), samples.index)
    return pd.factorize(number.loc[ids], sort=True)[0]


def unit_of(labels: str | Path, ids: list[str]) -> str:
    """What an interval over groups resamples: "patient", "video" ..., or "image" without groups.

    Where some samples have a group and some none, both are named: "patient or image".
    """
    group = tables.read(labels, ["sample_id", "group"]).set_index("sample_id")["group"].loc[ids]
    unit = tables.about(labels).get("unit", "group")
    known = group.notna()
    return unit if known.all() else f"{unit} or image" if known.any() else "image"


def _member(run: dict, split: dict, groups: np.ndarray, draws: np.ndarray) -> dict:
    part, task = (split["truth"], split["scores"], groups), tasks.of(split["task"])
    return {
        "seed": run["seed"],
        "predictions": run["predictions"],
        "truth": split["truth"],
        "context": split["context"],
        "scores": split["scores"],
        "metrics": tables.read_json(run["metrics"]),
        "counts": task.group_counts(*part),
        "replicates": task.replicate(*part, draws, **split["context"]),
    }


def _over_seeds(members: list[dict], task: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    values = [member["metrics"]["splits"]["test"] for member in members]
    return {
        metric: (
            np.array([found[metric] for found in values], float),
            np.stack([member["replicates"][metric] for member in members]),
        )
        for metric in metrics.names(task)
    }


def _judged(members: list[dict]) -> list[dict]:
    return [member["metrics"] for member in members]


def _own_encoder(run: dict) -> str:
    return run["encoder"] if run.get("column", run["encoder"]) != run["encoder"] else ""
