"""A cell of a study: all methods on one dataset, in one column, judged on the same test samples."""

from pathlib import Path

import numpy as np
import pandas as pd

from histopair.datasets import grouping
from histopair.errors import InputError
from histopair.evaluation import bootstrap, convergence, gate, metrics, probes, tasks
from histopair.files import tables


def gather(runs: list[dict], labels: dict[str, str | Path]) -> dict[tuple[str, str], dict]:
    """The cells of a study by (dataset, column), each as `evaluate` makes it.

    A run's `column` is the study's encoder that it is shown under; without it, its own `encoder`.
    """
    members: dict[tuple[str, str], list[dict]] = {}
    for run in runs:
        members.setdefault((run["dataset"], _column(run)), []).append(run)
    return {key: evaluate(of_cell, labels[key[0]]) for key, of_cell in members.items()}


def evaluate(runs: list[dict], labels: str | Path) -> dict:
    """What one cell's runs come to.

    runs: dicts of encoder, method, seed and the paths `predictions` and `metrics`, maybe `column`
    and `probes` (methods at their optimum that read no more than this one), and `gate`, the file of
    the run's world.
    labels: labels parquet of their dataset, for the groups. Returns
        methods: {method: {metric: (values of the S seeds, their replicates (S, R))}};
        runs: {method: [`_member` of each seed]};
        own_encoder: {method: its encoder if that is not the column's, else ""};
        not_converged: {method: how many of its runs have not converged};
        gate_failed: {method: `gate.failed` for its world};
        val_loss: {method: `probes.val_loss`}, below_probe: {method: `probes.below`};
        task, ids (of the test samples), n_test, n_groups, unit (`unit_of`).
    Seeds count once where all predict alike. Raises InputError if methods predict other samples.
    """
    first = test_split(runs[0]["predictions"])
    groups = groups_of(labels, first["ids"])
    members = _members(runs, first, groups)
    judged = {method: [seed["metrics"] for seed in seeds] for method, seeds in members.items()}
    losses = {method: probes.val_loss(seeds) for method, seeds in judged.items()}
    return {
        "methods": {m: _over_seeds(seeds, first["task"]) for m, seeds in members.items()},
        "runs": members,
        "own_encoder": {
            run["method"]: run["encoder"] if _column(run) != run["encoder"] else "" for run in runs
        },
        "not_converged": {
            method: convergence.unfinished([seed["convergence"] for seed in seeds])
            for method, seeds in judged.items()
        },
        "gate_failed": {run["method"]: gate.failed(run.get("gate")) for run in runs},
        "val_loss": losses,
        "below_probe": probes.below(losses, {run["method"]: run.get("probes", []) for run in runs}),
        "task": first["task"],
        "ids": first["ids"],
        "n_test": len(first["ids"]),
        "n_groups": int(groups.max()) + 1,
        "unit": unit_of(labels, first["ids"]),
    }


def _column(run: dict) -> str:
    return run.get("column", run["encoder"])


def _members(runs: list[dict], first: dict, groups: np.ndarray) -> dict[str, list[dict]]:
    """The seeds of each method, each as `_member`; `first` is the first run's split.

    One seed where chance changes nothing. If only some predict alike, all stay: they are weighed in
    a mean, and methods are paired by seed.
    """
    draws = bootstrap.resamples(groups)
    by_method: dict[str, list[tuple[dict, dict]]] = {}
    for run in runs:
        split = test_split(run["predictions"])
        folds = [one["context"].get("fold") for one in (split, first)]
        truths = [one["truth"] for one in (split, first)]
        alike = split["ids"] == first["ids"] and np.array_equal(*truths) and np.array_equal(*folds)
        if not alike:
            seen = runs[0]["predictions"]
            problem = f"its test samples, labels or folds differ from those of {seen}"
            raise InputError(run["predictions"], problem, "Delete the older run and rerun")
        by_method.setdefault(run["method"], []).append((run, split))
    return {
        method: [_member(*seed, groups, draws) for seed in (seeds[:1] if _alike(seeds) else seeds)]
        for method, seeds in by_method.items()
    }


def _alike(seeds: list[tuple[dict, dict]]) -> bool:
    """Whether all seeds of a method predict the same scores."""
    return all(np.array_equal(split["scores"], seeds[0][1]["scores"]) for _, split in seeds)


def test_split(path: str | Path) -> dict:
    """A run's test samples in the order of sample_id: ids, truth, scores (n, C), task, context."""
    table, about = tables.without_vectors(path), tables.about(path)
    task = tasks.of(about["task"])
    test = np.flatnonzero(table["split"] == "test")
    if not len(test):
        raise InputError(path, "no test samples", "Give the dataset's split a test share")
    test = test[np.argsort(table["sample_id"].to_numpy()[test], kind="stable")]
    return {
        "ids": list(table["sample_id"].iloc[test]),
        "truth": task.truth(table.iloc[test], about["classes"], path),
        "scores": tables.matrix(path, "scores")[test],
        "task": about["task"],
        "context": task.context(table, test),
    }


def groups_of(labels: str | Path, ids: list[str]) -> np.ndarray:
    """Group number 0..G-1 of each sample; as in splits, an image without a group is one itself."""
    samples = tables.read(labels, ["sample_id", "image_id", "group"]).set_index("sample_id")
    missing = sorted(set(ids) - set(samples.index))
    if missing:
        problem = f"{len(missing)} predicted samples are not in it, such as {missing[0]}"
        raise InputError(labels, problem, "Rerun the runs of this dataset")
    number = pd.Series(grouping.numbers(samples["group"], samples["image_id"]), samples.index)
    return pd.factorize(number.loc[ids], sort=True)[0]


def unit_of(labels: str | Path, ids: list[str]) -> str:
    """What an interval over groups resamples: "patient", "video" ..., or "image" without groups.

    If only some samples have a group, both are named: "patient or image".
    """
    group = tables.read(labels, ["sample_id", "group"]).set_index("sample_id")["group"].loc[ids]
    unit = tables.about(labels).get("unit", "group")
    grouped = group.notna()
    return unit if grouped.all() else f"{unit} or image" if grouped.any() else "image"


def _member(run: dict, split: dict, groups: np.ndarray, draws: np.ndarray) -> dict:
    """A run's split, its metrics.json, and `group_counts` and `replicate` of its task."""
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
    splits = [member["metrics"]["splits"]["test"] for member in members]
    return {
        metric: (
            np.array([split[metric] for split in splits], float),
            np.stack([member["replicates"][metric] for member in members]),
        )
        for metric in metrics.names(task)
    }
